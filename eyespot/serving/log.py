"""The log: one line of JSON for each request and each event, on standard error; never what is in a picture.

Own code: structlog and python-json-logger would replace one `json.dumps`; what a line says, and that an answer is given
though nobody reads the log any more, would stay here.
"""

import json
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

RECORD = "eyespot.record"  # key in a request's scope
OWN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_GONE = 499  # the status of a request whose client left before its answer, as nginx writes it


@dataclass
class RequestRecord:
    """What the log says of one request.

    Attributes:
        id: the client's X-Request-ID where that is plain, else a new one.
        started: seconds on the monotonic clock.
        status: the answer's; None until there is one.
        whole: whether the body has been read to its end.
        bytes_in: bytes of the body, as far as it was read.
        reason: why the request was refused, in the word of its refusal.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.monotonic)
    status: int | None = None
    whole: bool = False
    bytes_in: int = 0
    reason: str | None = None


def begin_record(scope: Scope) -> RequestRecord:
    """Make the record of a request, and put it into the request's scope."""
    own_id = Headers(scope=scope).get("x-request-id", "")
    record = RequestRecord(own_id) if OWN_ID.fullmatch(own_id) else RequestRecord()
    scope[RECORD] = record
    return record


def record_of(scope: Scope) -> RequestRecord:
    """Return the record of a request that has begun."""
    record: RequestRecord = scope[RECORD]
    return record


def _write_to_standard_error(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


class Log:
    """Writes lines.

    Args:
        quiet: write no line for a request, only for events.
        write: takes each line.
    """

    def __init__(self, *, quiet: bool = False, write: Callable[[str], object] = _write_to_standard_error) -> None:
        self._quiet, self._write_line = quiet, write

    def request(self, record: RequestRecord, method: str, route: str) -> None:
        """Log a request that is answered, or whose client has gone."""
        if self._quiet:
            return
        values: dict[str, Any] = {
            "method": method, "route": route, "status": record.status or CLIENT_GONE,
            "ms": round(1000 * (time.monotonic() - record.started), 2), "bytes_in": record.bytes_in,
            "id": record.id,
        }  # fmt: skip
        if record.reason:
            values["reason"] = record.reason
        self._write(values)

    def event(self, sentence: str, level: str = "info", **more: Any) -> None:
        """Log in a sentence what happened to the server itself."""
        self._write({"level": level, "event": sentence, **more})

    def fault(self, error: BaseException, record: RequestRecord) -> None:
        """Log a mistake of eyespot's own, with its traceback."""
        self.event(
            "A mistake in the server itself", "error", id=record.id, trace="".join(traceback.format_exception(error))
        )

    def _write(self, values: dict[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}) + "\n"
        try:
            self._write_line(line)
        except (OSError, ValueError):
            return  # nobody reads it any more, and answers go on


class LogHandler(logging.Handler):
    """Writes the records of uvicorn and asyncio in the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)  # of what is no request, the protocol writes itself
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one of their records."""
        trace = {"trace": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
        self._log.event(record.getMessage(), record.levelname.lower(), **trace)
