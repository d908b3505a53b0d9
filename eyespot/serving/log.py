"""One line of JSON for each request and each event, on standard error; never what is in a picture."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from eyespot.serving.record import Record


def _to_standard_error(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


class Log:
    """Writes lines.

    Args:
        quiet: no line for requests, only for events.
        write: takes each line.
    """

    def __init__(self, *, quiet: bool = False, write: Callable[[str], object] = _to_standard_error) -> None:
        self._quiet, self._write_line = quiet, write

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
            self._write_line(line)
        except (OSError, ValueError):
            return  # nobody reads it any more, and answers go on


class Events(logging.Handler):
    """What uvicorn and asyncio have to say, in the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)  # of what is no request, the protocol tells itself
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one of their records."""
        trace = {"trace": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
        self._log.event(record.getMessage(), record.levelname.lower(), **trace)
