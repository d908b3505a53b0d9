"""What a request brings: options in its address, a body within bounds, and the pictures in the body.

Starlette's own readers of options and forms check less: they take what is not UTF-8 or is there twice, and write large
files to disk.
"""

import asyncio
import binascii
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from eyespot.errors import first_line, unknown
from eyespot.serving.guard import CONNECTION, Connections
from eyespot.serving.limits import ServerLimits
from eyespot.serving.log import record_of
from eyespot.serving.problems import CLOSE, Refusal, over_limit, too_many, unreadable

MOST_OPTIONS = 20  # in one address
WORDS = {"true": True, "1": True, "false": False, "0": False}
SHOWN = 60  # characters of a value that a refusal repeats
LINGER_SECONDS = 2.0
LINGER_BYTES = 64_000_000
Upload = tuple[str, bytes]  # a name, and a file's content
TYPES = "image/* or application/octet-stream (one picture), multipart/form-data (files) or application/json"
# base64 has none of these: with few of them, JSON is neither deep nor made of many values.
STRUCTURE = (b"[", b"{", b",", b":")
SPARE = 16
LONGEST_NAME = 255  # characters of a file's name that an answer repeats
LONGEST_BOUNDARY = 70  # RFC 2046


@dataclass(frozen=True)
class Option:
    """An option after the question mark.

    Attributes:
        read: makes the value from text; raises ValueError with what is expected.
        default: the value where the option is missing; of a text, also where it is empty.
        schema: the value's, as OpenAPI has it.
        description: what the option does.
        example: a value.
        required: whether the option has no default.
    """

    read: Callable[[str], Any]
    default: Any
    schema: Mapping[str, Any]
    description: str
    example: Any = None
    required: bool = False


def flag(description: str) -> Option:
    """Return an option that is true or false; false by default."""
    return Option(_flag, False, {"type": "boolean", "default": False}, description)


def _flag(text: str) -> bool:
    if text.lower() not in WORDS:
        raise ValueError("true or false")
    return WORDS[text.lower()]


def text(description: str, example: str, *, required: bool = False) -> Option:
    """Return an option that is any text; None by default."""
    schema = {"type": "string", "minLength": 1} if required else {"type": "string"}  # empty is as if it were missing
    return Option(str, None, schema, description, example, required)


def count(default: int, most: int, description: str) -> Option:
    """Return an option that is a whole number from 1 to `most`."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < len(str(most)) + 1 and 1 <= int(text) <= most):
            raise ValueError(f"a whole number from 1 to {most:,}")
        return int(text)

    return Option(read, default, schema, description)


def share(description: str, example: float) -> Option:
    """Return an option that is a number between 0 and 1, without these two; None by default."""
    schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return Option(_share, None, schema, description, example)


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise ValueError("a number between 0 and 1")
    return number


def read_options(request: Request, known: Mapping[str, Option]) -> dict[str, Any]:
    """Return the value of each known option.

    Raises:
        Refusal: an option is not known, is there twice, has a value it cannot have, or is missing.
    """
    texts: dict[str, str] = {}
    for name, value in _pairs(request.scope["query_string"]):
        if name not in known:
            raise _refused(unknown("option", name[:SHOWN], known) if known else f"There is no option {name[:SHOWN]!r}.")
        if name in texts:
            raise _refused(f"The option {name} is there twice: give it once.")
        texts[name] = value
    return {name: _value(name, option, texts.get(name)) for name, option in known.items()}


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if not query:
        return []
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_OPTIONS, errors="strict")
    except ValueError:
        raise _refused(
            f"The address has more than {MOST_OPTIONS} options, or ones that are not UTF-8, percent-encoded."
        ) from None


def _refused(detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "query", detail)


def _value(name: str, option: Option, text: str | None) -> Any:
    if text is None or (not text and option.read is str):
        if option.required:
            raise _refused(f"The option {name} is missing: {option.description}")
        return option.default
    try:
        return option.read(text)
    except ValueError as error:
        raise _refused(f"The option {name} must be {error}; received {text[:SHOWN]!r}.") from None


async def read_body(request: Request, limits: ServerLimits, connections: Connections) -> bytes:
    """Read a whole body, and count it as it comes.

    What the head says of its length is believed only where that is too much; no more than the limit is ever kept.

    Raises:
        Refusal: the body is longer than the limit, does not come in time, or too many bytes are held.
        ClientDisconnect: the client has gone.
    """
    declared_size = request.headers.get("content-length", "")
    if declared_size.isdecimal() and int(declared_size[:20]) > limits.body_bytes:
        await swallow(request)
        raise _too_long(limits)
    connection = request.scope.get(CONNECTION)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    parts.clear()
                    break
                if part:
                    parts.append(part)
                    if connection is not None:
                        connections.hold(connection, len(part))
    except TimeoutError:
        sentence = f"The body had not come after {limits.body_seconds:g} seconds"
        raise over_limit(HTTPStatus.REQUEST_TIMEOUT, "body_seconds", limits.body_seconds, sentence, CLOSE) from None
    if size > limits.body_bytes:
        if not record_of(request.scope).whole:
            await swallow(request)
        raise _too_long(limits)
    return b"".join(parts)


async def swallow(request: Request) -> None:
    """Read on and forget, for a while: a client that is still sending would not see an answer before a reset."""
    if "expect" in request.headers:
        return  # it waits for our word before it sends
    size = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while size < LINGER_BYTES:
                message = await request.receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_long(limits: ServerLimits) -> Refusal:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return over_limit(status, "body_bytes", limits.body_bytes, "The body has more bytes than are taken", CLOSE)


def read_upload(content_type: str, body: bytes, limits: ServerLimits) -> Upload:
    """Return the one picture of a body.

    Raises:
        Refusal: as of `read_uploads`, or there are several.
    """
    upload, *others = read_uploads(content_type, body, limits)
    if others:
        raise unreadable(f"One picture is asked for here; received {1 + len(others)}.")
    return upload


def read_uploads(content_type: str, body: bytes, limits: ServerLimits) -> list[Upload]:
    """Return the pictures of a body, none of them opened: one as it is, several in a form, or as base64 in JSON.

    Args:
        content_type: as the request's head has it; empty: one picture.

    Raises:
        Refusal: the body is not what its type says, holds no picture, or more than the limit.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind in {"", "application/octet-stream"}:
        uploads = [("0", body)]
    elif kind == "application/json":
        uploads = _json_uploads(body, limits)
    elif kind == "multipart/form-data":
        uploads = _form_uploads(content_type, body, limits)
    else:
        hint = " With curl, add: -H 'Content-Type: image/png'." if kind == "application/x-www-form-urlencoded" else ""
        detail = f"The body is {kind[:100]!r}, which is not taken: send {TYPES}.{hint}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type", detail)
    if not uploads or (len(uploads) == 1 and not uploads[0][1]):
        raise unreadable("The request holds no picture: send at least one.")
    if len(uploads) > limits.pictures:
        raise too_many(limits)
    return uploads


def _json_uploads(body: bytes, limits: ServerLimits) -> list[Upload]:
    if sum(body.count(sign) for sign in STRUCTURE) > limits.pictures + SPARE:
        # As many as a list of too many pictures has: the same refusal for both.
        raise too_many(limits)
    try:
        values = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise unreadable(f"The body is not JSON ({first_line(error)}).") from None
    expected = 'expected {"picture": "base64"} or {"pictures": ["base64", …]}'
    if not isinstance(values, dict) or len(values) != 1:
        raise unreadable(f"The JSON has another form: {expected}.")
    ((key, value),) = values.items()
    texts = [value] if key == "picture" else value
    if key not in {"picture", "pictures"} or not isinstance(texts, list):
        raise unreadable(f"The JSON has another form: {expected}.")
    return [(str(index), _from_base64(text, index)) for index, text in enumerate(texts)]


def _from_base64(text: object, index: int) -> bytes:
    if not isinstance(text, str):
        raise unreadable(f"Picture {index} of the JSON is no text: a picture is its file's content as base64.")
    if len(text) % 4:
        raise unreadable(f"Picture {index} of the JSON is not base64 (its length is no multiple of 4).")
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise unreadable(f"Picture {index} of the JSON is not base64 ({error}).") from None


def _form_uploads(content_type: str, body: bytes, limits: ServerLimits) -> list[Upload]:
    """Return the form's files by name; those without a name are called by their number."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise unreadable("The form has no boundary of 1 to 70 characters in its Content-Type: let your client set it.")
    parts = _FormParts(limits)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.name,
            "on_header_value": parts.value,
            "on_header_end": parts.header_end,
            "on_part_data": parts.content,
            "on_end": parts.end,
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise unreadable(f"The form is damaged ({first_line(error)}).") from None
    if not parts.ended:
        raise unreadable("The form is truncated: it ends before its last boundary.")
    return [_file(part, index) for index, part in enumerate(parts.parts)]


class _FormParts:
    """Collects a form's parts as the parser meets them."""

    def __init__(self, limits: ServerLimits) -> None:
        self.parts: list[_FormPart] = []
        self.ended = False
        self._limits = limits
        self._name, self._value = bytearray(), bytearray()

    def begin(self) -> None:
        if len(self.parts) == self._limits.pictures:
            raise too_many(self._limits)
        self.parts.append(_FormPart())

    def name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self.parts[-1].head[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def content(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += data[start:end]

    def end(self) -> None:
        self.ended = True


@dataclass
class _FormPart:
    head: dict[bytes, bytes] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


def _file(part: _FormPart, index: int) -> Upload:
    _, options = parse_options_header(part.head.get(b"content-disposition", b""))
    if b"filename" not in options:
        field_name = options.get(b"name", b"").decode("utf-8", "replace")[:LONGEST_NAME]
        raise unreadable(f"The form's part {field_name!r} is no file: send files only; options go into the address.")
    name = options[b"filename"].decode("utf-8", "replace")[:LONGEST_NAME]
    return name or str(index), bytes(part.content)
