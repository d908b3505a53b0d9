"""HTTP/1.1 on one connection: uvicorn's, with bounds on the head of a request, which uvicorn waits for without end."""

import asyncio
import uuid
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eyespot.serving.addresses import NOWHERE
from eyespot.serving.front import OTHER_METHOD
from eyespot.serving.problems import PROBLEM, Refusal, over_limit
from eyespot.serving.record import Record
from eyespot.serving.service import Service

LARGEST_HEAD = 65_536  # bytes, as of uvicorn with h11
NOT_HTTP = "This is not HTTP/1.1 as the server understands it."


class BoundedProtocol(HttpToolsProtocol):
    """A connection.

    Attributes:
        service: what all connections share.
    """

    service: ClassVar[Service]
    _in_head, _head_bytes = False, 0  # within a request's head, and how much of it had come before it was whole
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        begun = self._in_head
        super().data_received(data)
        if begun and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD and not self.transport.is_closing():
                detail = f"The request's head has more than {LARGEST_HEAD:,} bytes."
                self._refuse(Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head", detail))

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        if self._late is None:
            self._wait_for_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head has come."""
        self._stop_waiting()
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says more
        """What came is no request."""
        self._refuse(Refusal(HTTPStatus.BAD_REQUEST, "http", NOT_HTTP))

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(self.service.limits.body_seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        seconds = self.service.limits.body_seconds
        if self.transport.is_closing():
            return
        if not self._in_head:
            self.transport.close()  # nothing was asked
            return
        sentence = f"The request's head had not come after {seconds:g} seconds"
        self._refuse(over_limit(HTTPStatus.REQUEST_TIMEOUT, "body_seconds", seconds, sentence))

    def _refuse(self, refusal: Refusal) -> None:
        record = Record(uuid.uuid4().hex, status=int(refusal.status), reason=refusal.reason)
        self.service.counts.request(NOWHERE, OTHER_METHOD, int(refusal.status), 0.0, refusal.reason)
        self.service.log.request(record, OTHER_METHOD, NOWHERE)
        self.transport.write(_raw(refusal))
        self.transport.close()


def protocol_for(service: Service) -> type[BoundedProtocol]:
    """The class of which uvicorn makes one object for each connection."""
    return type("Protocol", (BoundedProtocol,), {"service": service})


def _raw(refusal: Refusal) -> bytes:
    """The whole answer, as it is sent where there is no request to answer."""
    answer = refusal.answer()
    head: dict[str, Any] = {"content-type": PROBLEM, "content-length": len(answer.body), "connection": "close"}
    lines = [f"HTTP/1.1 {answer.status} {refusal.status.phrase}", *(f"{name}: {value}" for name, value in head.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + answer.body
