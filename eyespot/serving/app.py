"""The application: every request is recorded, let in or refused, and answered by its endpoint."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eyespot.errors import ModelError
from eyespot.serving.endpoints import ENDPOINTS, JSON, Endpoint
from eyespot.serving.guard import CONNECTION
from eyespot.serving.log import CLIENT_GONE, RECORD, RequestRecord, begin_record, record_of
from eyespot.serving.problems import CLOSE, FAULT, RETRY, Refusal, to_json
from eyespot.serving.requests import swallow
from eyespot.serving.served_models import Service

METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"})
OTHER_METHOD = "(other)"
NO_ROUTE = "(none)"
OPENAPI = "/openapi.json"


class Application:
    """What uvicorn calls, made of Starlette's parts.

    The class Starlette itself would answer faults outside of everything, where no page of another site could read them,
    and raise them again.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._routes = [_route(service, *address, endpoint) for address, endpoint in ENDPOINTS.items()]
        self._routes.append(Route(OPENAPI, partial(openapi, service), methods=["GET"]))
        app: ASGIApp = Guard(Router(self._routes, redirect_slashes=False), service)
        handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response | None]]] = {
            Refusal: _refused, HTTPException: _no_route, ModelError: partial(_no_answer, service),
            Exception: partial(_fault, service), ClientDisconnect: _gone,
        }  # fmt: skip
        app = ExceptionMiddleware(app, handlers)  # type: ignore[arg-type] # Starlette takes None for no answer too
        if service.access.origins:
            app = CORSMiddleware(
                app,
                allow_origins=service.access.origins,
                allow_methods=("GET", "POST"),
                allow_headers=("Authorization", "Content-Type", "X-Request-ID"),
                expose_headers=("X-Request-ID", "Retry-After"),
            )
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; count, time and log it as its client sees it."""
        scope["app"] = self  # has the router raise what it refuses
        record: RequestRecord = scope.get(RECORD) or begin_record(scope)
        recorded, connection = False, scope.get(CONNECTION)

        async def receive_counted() -> Message:
            message = await receive()
            record.bytes_in += len(message.get("body", b""))
            record.whole = not message.get("more_body", False)
            return message

        async def send_recorded(message: Message) -> None:
            nonlocal recorded
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message = {**message, "headers": [*message["headers"], *self._more_headers(scope, message, record)]}
            elif not message.get("more_body", False):
                recorded = True
                self._record(scope, record)  # before it is sent: the client that has the answer finds it counted
                if connection is not None:
                    connection.hold_answer(len(message.get("body", b"")))
            await send(message)

        try:
            await self._app(scope, receive_counted, send_recorded)
        finally:
            if not recorded:
                self._record(scope, record)

    def _more_headers(self, scope: Scope, message: Message, record: RequestRecord) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", record.id.encode())]
        # A client that asked whether to send a body may now send it or not: what comes next could be either.
        unsure = not record.whole and any(name == b"expect" for name, _ in scope["headers"])
        if (unsure or self._service.closing) and not any(name == b"connection" for name, _ in message["headers"]):
            headers.append((b"connection", b"close"))
        return headers

    def _record(self, scope: Scope, record: RequestRecord) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        route = self._pattern(scope)
        seconds = time.monotonic() - record.started
        self._service.metrics.request(route, method, record.status or CLIENT_GONE, seconds, record.reason)
        self._service.log.request(record, method, route)

    def _pattern(self, scope: Scope) -> str:
        """Return the pattern of a request's address, of which there are few, whatever clients ask for."""
        route: Route | None = scope.get("route")
        if route is None:  # refused before the router
            matches = (route for route in self._routes if route.matches(scope)[0] is not Match.NONE)
            route = next(matches, None)
        return NO_ROUTE if route is None else route.path_format


def _route(service: Service, method: str, path: str, endpoint: Endpoint) -> Route:
    route = Route(path, partial(endpoint, service), methods=[method])
    route.methods = {method}  # without HEAD, which Starlette adds to GET
    return route


async def openapi(service: Service, request: Request) -> Response:  # noqa: ARG001 - as all endpoints
    """Return all of this for machines; what describes it is imported with the first request."""

    def description() -> bytes:
        from eyespot.serving.schemas import describe_service

        return to_json(describe_service(service))

    return Response(await asyncio.to_thread(description), media_type=JSON)


class Guard:
    """Lets a request in, or refuses it before any of its body is read."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Refusal: the server is stopping, or as of `Access.check`.
        """
        path: str = scope["path"]
        if self._service.closing and not path.startswith("/health/") and path != "/metrics":
            await swallow(Request(scope, receive))
            detail = "The server is stopping: ask again later, or another one."
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", detail, CLOSE | RETRY)
        self._service.access.check(scope)
        is_counted = path.startswith("/v1/")
        self._service.in_flight += is_counted
        try:
            await self._app(scope, receive, send)
        finally:
            self._service.in_flight -= is_counted


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a refusal; all refusals come here, from wherever they were raised."""
    assert isinstance(error, Refusal)  # noqa: S101 - Starlette's handlers take any exception
    record_of(request.scope).reason = error.reason
    return error.response()


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer what Starlette's router refuses: addresses and methods that there are not."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    path, method = request.scope["path"][:100], request.method[:20]
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = dict(error.headers or {})
        detail = f"{path} does not take {method}: use {allowed.get('Allow', 'another method')}."
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, allowed)
    else:
        detail = f"There is nothing at {path}: {OPENAPI} lists all addresses."
        refusal = Refusal(HTTPStatus.NOT_FOUND, "address", detail)
    return await _refused(request, refusal)


async def _no_answer(service: Service, request: Request, error: Exception) -> Response:
    """Answer where a model has no answer; the log says why."""
    record = record_of(request.scope)
    service.log.event(str(error), "error", id=record.id)
    detail = f"The model has no answer to this; the server's log says why, beside the X-Request-ID {record.id}."
    return await _refused(request, Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "no_answer", detail))


async def _fault(service: Service, request: Request, error: Exception) -> Response:
    """Answer a mistake of the server's own, which is logged, and never shown."""
    service.log.fault(error, record_of(request.scope))
    return await _refused(request, FAULT)


async def _gone(request: Request, error: Exception) -> None:
    """Send nothing: the client has gone, or the protocol has answered it."""
