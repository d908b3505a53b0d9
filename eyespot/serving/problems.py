"""Refusals, as problem details (RFC 9457): what is wrong, where, and what to do, in one sentence."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from eyespot.serving.asgi import Answer
from eyespot.serving.json_text import to_json
from eyespot.serving.limits import OPTIONS, ServerLimits

PROBLEM = "application/problem+json"
CLOSE = {"connection": "close"}


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request is not answered as it was meant.

    Attributes:
        status: of HTTP.
        reason: one word for machines and for the metrics; the same words always.
        detail: the sentence.
        headers: what else the answer says in its head.
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

    def answer(self) -> Answer:
        """As it is sent."""
        told = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "reason": self.reason,
            **self.members,
        }
        return Answer(to_json(told), int(self.status), PROBLEM, self.headers)


def over_limit(
    status: HTTPStatus, name: str, limit: float, sentence: str, headers: Mapping[str, str] | None = None
) -> Refusal:
    """The refusal of what exceeds a bound, which names the bound and the option that sets it.

    Args:
        name: of the bound, a field of `ServerLimits`.
        sentence: what exceeds it; the rest of the sentence is added.
    """
    option = OPTIONS[name]
    shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
    detail = f"{sentence}; the limit is {shown} ({option})."
    return Refusal(status, name, detail, headers, {"limit": limit, "option": option})


def unreadable(detail: str) -> Refusal:
    """The refusal of a body that is not what its type says, or holds no pictures."""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "body", detail)


def too_many(limits: ServerLimits) -> Refusal:
    """The refusal of more pictures than are taken."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    sentence = "The request has more pictures, or parts that are none, than are taken"
    return over_limit(status, "pictures", limits.pictures, sentence)
