"""The pictures in a body: one as it is, several in a form, or as base64 in JSON."""

import binascii
import json
from http import HTTPStatus

from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import Refusal, too_many, unreadable

Upload = tuple[str, bytes]  # a name, and a file's content
TYPES = "image/* or application/octet-stream (one picture), multipart/form-data (files) or application/json"
# base64 has none of these: with few of them, JSON is neither deep nor made of many values.
STRUCTURE = (b"[", b"{", b",", b":")
SPARE = 16


def uploads(content_type: str, body: bytes, limits: ServerLimits) -> list[Upload]:
    """The pictures of a request, none of them opened.

    Args:
        content_type: as the request's head has it; empty: one picture.

    Raises:
        Refusal: the body is not what its type says, holds no picture, or more than the limit.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind in {"", "application/octet-stream"}:
        found = [("0", body)]
    elif kind == "application/json":
        found = _from_json(body, limits)
    elif kind == "multipart/form-data":
        from eyespot.serving.multipart import files_of  # python-multipart, which other requests do not need

        found = files_of(content_type, body, limits)
    else:
        hint = " With curl, add: -H 'Content-Type: image/png'." if kind == "application/x-www-form-urlencoded" else ""
        detail = f"The body is {kind[:100]!r}, which is not taken: send {TYPES}.{hint}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type", detail)
    if not found or (len(found) == 1 and not found[0][1]):
        raise unreadable("The request holds no picture: send at least one.")
    if len(found) > limits.pictures:
        raise too_many(limits)
    return found


def _from_json(body: bytes, limits: ServerLimits) -> list[Upload]:
    if sum(body.count(sign) for sign in STRUCTURE) > limits.pictures + SPARE:
        # As many as a list of too many pictures has: the same refusal for both.
        raise too_many(limits)
    try:
        values = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise unreadable(f"The body is not JSON ({str(error).splitlines()[0]}).") from None
    expected = 'expected {"picture": "base64"} or {"pictures": ["base64", …]}'
    if not isinstance(values, dict) or len(values) != 1:
        raise unreadable(f"The JSON has another form: {expected}.")
    ((key, value),) = values.items()
    texts = [value] if key == "picture" else value
    if key not in {"picture", "pictures"} or not isinstance(texts, list):
        raise unreadable(f"The JSON has another form: {expected}.")
    return [(str(index), _decoded(text, index)) for index, text in enumerate(texts)]


def _decoded(text: object, index: int) -> bytes:
    if not isinstance(text, str):
        raise unreadable(f"Picture {index} of the JSON is no text: a picture is its file's content as base64.")
    if len(text) % 4:
        raise unreadable(f"Picture {index} of the JSON is not base64 (its length is no multiple of 4).")
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise unreadable(f"Picture {index} of the JSON is not base64 ({error}).") from None
