"""What every request passes before it is answered: it is recorded, and let in or refused."""

import time
from http import HTTPStatus

from eyespot.errors import ModelError
from eyespot.serving.addresses import METRICS, pattern_of
from eyespot.serving.asgi import App, ClientGone, Message, Receive, Scope, Send, header
from eyespot.serving.body import swallow
from eyespot.serving.problems import CLOSE, Refusal
from eyespot.serving.record import CONNECTION, KEY, Record, begin, record_of
from eyespot.serving.service import Service

METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"})
OTHER_METHOD = "(other)"
GONE = 499  # the client went before there was an answer; nginx writes it so
FAULT = Refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR, "fault", "The server made a mistake, which its log tells under this X-Request-ID."
)


class Recorded:
    """Counts, times and logs each request as its client sees it; a fault inside is logged, and never shown."""

    def __init__(self, app: App, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        record = scope.get(KEY) or begin(scope)
        told, connection = False, scope.get(CONNECTION)

        async def counted() -> Message:
            message = await receive()
            record.bytes_in += len(message.get("body", b""))
            record.whole = not message.get("more_body", False)
            return message

        async def watched(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message = {**message, "headers": [*message["headers"], *self._added(scope, message, record)]}
            elif not message.get("more_body", False):
                told = True
                self._tell(scope, record)  # before it is sent: whoever has the answer finds it counted
                if connection is not None:
                    connection.hold_answer(len(message.get("body", b"")))
            await send(message)

        try:
            await self._answer(scope, counted, watched, record)
        finally:
            if not told:
                self._tell(scope, record)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, record: Record) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the next request is answered
            self._service.log.fault(error, record)
            if record.status is None:
                record.reason = FAULT.reason
                await FAULT.answer().send(send)

    def _added(self, scope: Scope, message: Message, record: Record) -> list[tuple[bytes, bytes]]:
        added = [(b"x-request-id", record.id.encode())]
        # Who asked whether to send a body may now send it or not: what comes next could be either.
        unsure = not record.whole and header(scope, b"expect") is not None
        if (unsure or self._service.closing) and not any(name == b"connection" for name, _ in message["headers"]):
            added.append((b"connection", b"close"))
        return added

    def _tell(self, scope: Scope, record: Record) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        route = pattern_of(scope["path"])
        seconds = time.monotonic() - record.started
        self._service.counts.request(route, method, record.status or GONE, seconds, record.reason)
        self._service.log.request(record, method, route)


class Admitted:
    """Lets a request in, or refuses it before any of its body is read."""

    def __init__(self, app: App, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; a refusal is an answer."""
        try:
            await self._let_in(scope, receive)
            await self._counted(scope, receive, send)
        except Refusal as refusal:
            record_of(scope).reason = refusal.reason
            await refusal.answer().send(send)
        except ModelError as error:
            await no_answer(self._service, scope, error).answer().send(send)

    async def _let_in(self, scope: Scope, receive: Receive) -> None:
        try:
            self._check(scope)
        except Refusal as refusal:
            if refusal.headers.get("connection") == "close":
                await swallow(scope, receive)
            raise

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        self._service.counts.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._service.counts.in_flight -= 1

    def _check(self, scope: Scope) -> None:
        path: str = scope["path"]
        if self._service.closing and not path.startswith("/health/") and path != METRICS:
            detail = "The server is stopping: ask again later, or another one."
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", detail, {**CLOSE, "retry-after": "1"})
        self._service.access.check(scope)


def no_answer(service: Service, scope: Scope, error: ModelError) -> Refusal:
    """The refusal where a model has no answer; the log says why."""
    record = record_of(scope)
    service.log.event(str(error), "error", id=record.id)
    detail = f"The model has no answer to this; the server's log says why, beside the X-Request-ID {record.id}."
    record.reason = "no_answer"
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "no_answer", detail)
