"""Refusals, as problem details (RFC 9457): what is wrong, where, and what to do, in one sentence."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from eyespot.serving.limits import OPTIONS, ServerLimits

PROBLEM = "application/problem+json"
CLOSE = {"connection": "close"}
RETRY = {"retry-after": "1"}  # seconds


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request is not answered as it was meant.

    Attributes:
        status: of HTTP.
        reason: one word for machines and for the metrics; always the same word.
        detail: the sentence.
        headers: further headers of the answer.
        members: further members of the problem, plain values.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail
        self.headers, self.members = dict(headers or {}), dict(members or {})

    def response(self) -> Response:
        """Return the answer to the request."""
        problem = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "reason": self.reason,
            **self.members,
        }
        return Response(to_json(problem), int(self.status), self.headers, PROBLEM)


FAULT = Refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR, "fault", "The server made a mistake, which its log tells under this X-Request-ID."
)


def to_json(values: Any) -> bytes:
    """Return JSON in UTF-8; half a surrogate pair, which a class's name may hold and UTF-8 may not, stays an escape.

    Starlette's JSONResponse fails on such a name.
    """
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )


def busy(
    limits: ServerLimits, name: str = "concurrent", sentence: str = "The server works on as many requests as it takes"
) -> Refusal:
    """Return the refusal of more at a time than a limit allows."""
    return over_limit(HTTPStatus.SERVICE_UNAVAILABLE, name, getattr(limits, name), f"{sentence} at a time", RETRY)


def over_limit(
    status: HTTPStatus, name: str, limit: float, sentence: str, headers: Mapping[str, str] | None = None
) -> Refusal:
    """Return the refusal of what exceeds a limit, with the limit and the option that sets it.

    Args:
        name: of the limit, a field of `ServerLimits`.
        sentence: what exceeds the limit; the rest of the sentence is added.
    """
    option = OPTIONS[name]
    limit_text = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
    detail = f"{sentence}; the limit is {limit_text} ({option})."
    return Refusal(status, name, detail, headers, {"limit": limit, "option": option})


def unreadable(detail: str) -> Refusal:
    """Return the refusal of a body that is not what its type says, or holds no images."""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "body", detail)


def too_many(limits: ServerLimits) -> Refusal:
    """Return the refusal of more pictures than the limit."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    sentence = "The request has more pictures, or parts that are none, than are taken"
    return over_limit(status, "pictures", limits.pictures, sentence)
