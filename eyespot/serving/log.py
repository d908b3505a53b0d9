"""One line of JSON for each request and each event, on standard error; never what is in a picture."""

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from eyespot.serving.record import Record


class Log:
    """Writes lines.

    Args:
        quiet: no line for requests, only for events.
        stream: where to; None: standard error, whatever that is then.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet, self._stream = quiet, stream

    def request(self, record: Record, method: str, route: str) -> None:
        """A request that is answered, or whose client has gone (status 499)."""
        if self._quiet:
            return
        told: dict[str, Any] = {
            "method": method, "route": route, "status": record.status or 499,
            "ms": round(1000 * (time.monotonic() - record.started), 2), "bytes_in": record.bytes_in,
            "id": record.id,
        }  # fmt: skip
        if record.reason:
            told["reason"] = record.reason
        self._write(told)

    def event(self, sentence: str, level: str = "info", **more: Any) -> None:
        """Something that happened to the server itself, in a sentence."""
        self._write({"level": level, "event": sentence, **more})

    def fault(self, error: BaseException, record: Record) -> None:
        """A mistake of eyespot's own, with all that helps to find it."""
        self.event(
            "A mistake in the server itself", "error", id=record.id, trace="".join(traceback.format_exception(error))
        )

    def _write(self, told: dict[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **told}) + "\n"
        try:
            stream = self._stream or sys.stderr
            stream.write(line)
            stream.flush()
        except (OSError, ValueError):
            return  # nobody reads it any more, and answers go on


class Events(logging.Handler):
    """What uvicorn and asyncio have to say, in the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one of their records."""
        trace = {"trace": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
        self._log.event(record.getMessage(), record.levelname.lower(), **trace)
