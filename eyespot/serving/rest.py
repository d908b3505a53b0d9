"""The FastAPI application: all addresses, and what OpenAPI says of them."""

from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from eyespot.errors import ModelError
from eyespot.serving import addresses
from eyespot.serving.asgi import Answer, ClientGone
from eyespot.serving.described import OPERATIONS, complete
from eyespot.serving.endpoints import Endpoint
from eyespot.serving.front import FAULT, GONE, no_answer
from eyespot.serving.page_files import page
from eyespot.serving.problems import Refusal
from eyespot.serving.record import record_of
from eyespot.serving.service import Service

# What users send is nobody else's, also where the environment names somebody to tell.
SILENT: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
}  # fmt: skip
ABOUT = """Classifies pictures with models by eyespot.

Refusals are problem details (RFC 9457); `detail` is a sentence, and where a limit is exceeded, `option` sets it.
"""


def rest(service: Service) -> FastAPI:
    """Makes the application."""
    app = FastAPI(
        title="eyespot", version=version("eyespot"), description=ABOUT, docs_url=None, redoc_url=None,
        redirect_slashes=False, openapi_url=addresses.OPENAPI, telemetry=SILENT,
    )  # fmt: skip
    for operation in OPERATIONS:
        app.add_api_route(
            operation.pattern, _shell(service, operation.endpoint), methods=[operation.method], **operation.documented()
        )
    for pattern in (addresses.PAGE, "/page/{file:path}"):
        app.add_api_route(pattern, _shell(service, page), methods=["GET"], include_in_schema=False)
    app.add_exception_handler(HTTPException, _not_found)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _fault)
    complete(app, service)
    return app


def _shell(service: Service, endpoint: Endpoint) -> Callable[[Request], Any]:
    """An endpoint as FastAPI calls it."""

    async def answered(request: Request) -> Response:
        try:
            answer = await endpoint(service, request.scope, request.receive)
        except Refusal as refusal:
            record_of(request.scope).reason = refusal.reason
            answer = refusal.answer()
        except ModelError as error:
            answer = no_answer(service, request.scope, error).answer()
        except ClientGone:
            return Response(status_code=GONE)  # which nobody receives
        return _response(answer)

    answered.__doc__ = endpoint.__doc__
    return answered


async def _not_found(request: Request, error: HTTPException) -> Response:
    """What Starlette says of addresses and methods that there are not, in our form."""
    path, method = request.url.path[:100], request.method[:20]
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = dict(error.headers or {})
        detail = f"{path} does not take {method}: use {allowed.get('Allow', 'another method')}."
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, allowed)
    else:
        refusal = Refusal(
            HTTPStatus.NOT_FOUND, "address", f"There is nothing at {path}: /openapi.json lists all addresses."
        )
    record_of(request.scope).reason = refusal.reason
    return _response(refusal.answer())


async def _fault(request: Request, error: Exception) -> Response:  # noqa: ARG001 - who logs it is further out
    record_of(request.scope).reason = FAULT.reason
    return _response(FAULT.answer())


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers, media_type=answer.media_type)
