"""HTTP/1.1 on one connection: uvicorn's protocol, within bounds, and with one reading of each request.

What two readers could take for requests of different lengths is refused (RFC 9112, 6.3 and 11.2); `Upgrade` is ignored
(RFC 9110, 7.8).
"""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, ClassVar, cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eyespot.serving.app import METHODS, NO_ROUTE, OTHER_METHOD
from eyespot.serving.guard import CONNECTION
from eyespot.serving.log import RequestRecord, begin_record, record_of
from eyespot.serving.problems import CLOSE, Refusal, over_limit
from eyespot.serving.served_models import Service

LARGEST_HEAD = 65_536  # bytes, as of uvicorn with h11; also of what follows a body, and of empty lines before a request
MOST_HEADERS = 100
MOST_WAITING = 32  # requests on one connection that wait for the answer to an earlier one
NOT_HTTP = "This is not HTTP/1.1 as the server understands it."


class BoundedProtocol(HttpToolsProtocol):
    """A connection.

    Attributes:
        service: what all connections share.
        held: bytes that are kept for it.
    """

    service: ClassVar[Service]
    held = 0
    _in_head, _overhead = False, 0  # within a request's head, and how many bytes have come that are no body
    _late: asyncio.TimerHandle | None = None  # goes off when a head has not come
    _stalled: asyncio.TimerHandle | None = None  # goes off when an answer has not been taken
    _delayed: tuple[Any, Any] | None = None  # a request that begins once the answer before it has been taken
    _refusal: Refusal | None = None  # what is answered last; nothing is read any more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that we know of every answer that is not taken at once
        self._wait_for_head()
        self.service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        self._stop_stalling()
        self.service.connections.remove(self)
        super().connection_lost(exc)

    def cut(self) -> None:
        """End the connection at once."""
        self.service.metrics.refusal("connections")
        self.transport.abort()

    def hold_answer(self, size: int) -> None:
        """Count an answer that has not been taken; end the connection where there is no room for it."""
        try:
            self.service.connections.hold(self, size)
        except Refusal:
            self.cut()

    def data_received(self, data: bytes) -> None:
        """Read bytes, and refuse what cannot be read."""
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        self._overhead += len(data)
        remaining = memoryview(data)
        try:
            while remaining:
                remaining = self._read(remaining)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refusal) else Refusal(HTTPStatus.BAD_REQUEST, "http", NOT_HTTP))
            return
        if self._overhead > LARGEST_HEAD and not self.transport.is_closing():
            detail = f"The request's head has more than {LARGEST_HEAD:,} bytes."
            self._refuse(Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head", detail))

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head, self._overhead = True, 0
        if self.cycle is None or self.cycle.response_complete:
            self.service.connections.waits(self)
        if self._late is None:
            self._wait_for_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; drop one that follows a body (RFC 9110, 6.5.1)."""
        if not self._in_head:
            return
        if len(self.headers) >= MOST_HEADERS:
            detail = f"The request has more than {MOST_HEADERS} headers."
            raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head", detail)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check a request's head, and begin to answer."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # it comes once more, without that
        self._stop_waiting()
        self._in_head, self._overhead = False, 0
        self._check_head()
        scope: Any = self.scope
        scope[CONNECTION] = self
        super().on_headers_complete()
        begin_record(scope)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of a body."""
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: from now on the client waits for the server."""
        if self.parser.should_upgrade():
            return
        self._overhead = 0
        if not self.flow.write_paused:
            self.service.connections.works(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer: from now on the server waits for the client."""
        self.service.connections.release(self)
        self.service.connections.waits(self)
        if self.flow.write_paused:
            self.hold_answer(self.transport.get_write_buffer_size())
        if self._refusal is not None and not self.pipeline and not self.transport.is_closing():
            self._send_refusal(self._refusal)
            return
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait until an answer is taken."""
        super().pause_writing()
        self.service.connections.waits(self)
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.service.limits.body_seconds, self.cut)

    def resume_writing(self) -> None:
        """Go on once the answer has been taken."""
        super().resume_writing()
        self._stop_stalling()
        self.service.connections.release(self)
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self.service.connections.works(self)
        if self._delayed is not None:
            request, self._delayed = self._delayed, None
            self._start_asgi_task(*request)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self.flow.write_paused:
            self._delayed = (cycle, app)
            return
        if not cycle.more_body:
            self.service.connections.works(self)
        super()._start_asgi_task(cycle, app)

    def _read(self, data: memoryview) -> memoryview:
        """Read on; return what follows a head that offers another protocol, which is then read as if it did not.

        The parser would leave the body of such a request unread, and take it for the next request.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            head = b"".join(self._head_without_upgrade())
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn, which reads none of it
            self.parser.feed_data(head)
            return data[stopped.args[0] :]
        return data[:0]

    def _head_without_upgrade(self) -> Iterator[bytes]:
        yield b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        for name, value in self.headers:
            if name != b"upgrade":
                yield b"%b: %b\r\n" % (name, value)
        yield b"\r\n"

    def _check_head(self) -> None:
        """Raise the refusal of a head that is not answered, or could be read in two ways."""
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        hosts = sum(name == b"host" for name, _ in self.headers)
        if self.parser.get_method() == b"CONNECT":
            headers = {"allow": ", ".join(sorted(METHODS - {"CONNECT"}))}
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED, "method", "This server is no proxy: CONNECT is refused.", headers
            )
        if codings not in ([], [b"chunked"]) or (codings and self.parser.get_http_version() == "1.0"):
            detail = "Of transfer codings, this server takes chunked alone, once, and in HTTP/1.1."
            raise Refusal(HTTPStatus.BAD_REQUEST, "http", detail)
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "http", f"A request has one Host header; this one has {hosts}.")
        if len(self.pipeline) >= MOST_WAITING:
            detail = f"More than {MOST_WAITING} requests wait on this connection for the answer to an earlier one."
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "pipeline", detail)

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(self.service.limits.body_seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_stalling(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

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
        """Answer what cannot be read, after the requests that came whole before it, and read no more."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = refusal
        self._stop_waiting()
        last_cycle = self.cycle
        if last_cycle is not None and not last_cycle.response_complete and last_cycle.more_body and not self._in_head:
            # The body of the last request is what cannot be read.
            if self.pipeline and self.pipeline[0][0] is last_cycle:
                self.pipeline.popleft()
            elif not last_cycle.response_started:
                record = record_of(cast("Scope", last_cycle.scope))
                record.status, record.reason = int(refusal.status), refusal.reason
                self._write(refusal)
                return
        if last_cycle is None or last_cycle.response_complete:
            self._send_refusal(refusal)

    def _send_refusal(self, refusal: Refusal) -> None:
        record = RequestRecord(status=int(refusal.status), reason=refusal.reason)
        self.service.metrics.request(NO_ROUTE, OTHER_METHOD, int(refusal.status), 0.0, refusal.reason)
        self.service.log.request(record, OTHER_METHOD, NO_ROUTE)
        self._write(refusal)

    def _write(self, refusal: Refusal) -> None:
        self.transport.write(_raw(refusal))
        self.transport.close()


def protocol_for(service: Service) -> type[BoundedProtocol]:
    """Return the class of which uvicorn makes one object for each connection."""
    return type("Protocol", (BoundedProtocol,), {"service": service})


def _raw(refusal: Refusal) -> bytes:
    """Return the whole answer, as it is sent where there is no request to answer."""
    response = refusal.response()
    response.headers.update(CLOSE)
    head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (refusal.status, refusal.status.phrase.encode(), head, bytes(response.body))
