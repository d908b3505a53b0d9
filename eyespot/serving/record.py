"""Record: what is known of one request while it is answered."""

import re
import time
import uuid
from dataclasses import dataclass, field

from eyespot.serving.asgi import Scope, header

KEY = "eyespot.record"  # in the request's scope
CONNECTION = "eyespot.connection"  # likewise: what the request came on
OWN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass
class Record:
    """One request.

    Attributes:
        id: the client's X-Request-ID where that is plain, else a new one.
        started: on the monotonic clock, seconds.
        status: of the answer; None as long as there is none.
        whole: its body has been read to the end.
        bytes_in: of the body, as far as it was read.
        reason: why it was refused, in the word of its refusal.
    """

    id: str
    started: float = field(default_factory=time.monotonic)
    status: int | None = None
    whole: bool = False
    bytes_in: int = 0
    reason: str | None = None


def begin(scope: Scope) -> Record:
    """Makes the record of a request, and puts it into its scope."""
    given = header(scope, b"x-request-id")
    plain = given is not None and OWN_ID.fullmatch(given)
    record = Record(given.decode() if given is not None and plain else uuid.uuid4().hex)
    scope[KEY] = record
    return record


def record_of(scope: Scope) -> Record:
    """The record of a request that has begun."""
    record: Record = scope[KEY]
    return record
