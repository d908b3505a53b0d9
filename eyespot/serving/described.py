"""What OpenAPI says of each address: options, bodies, answers and refusals, with examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from eyespot.serving import addresses, endpoints, information, schemas
from eyespot.serving.endpoints import Endpoint
from eyespot.serving.problems import PROBLEM
from eyespot.serving.query import Option
from eyespot.serving.service import Service

ANY_TIME = (400, 401, 404, 405, 421, 431, 422, 500, 503)
WITH_BODY = (403, 408, 413, 415, 504)
PICTURE_TYPES = ("image/png", "image/jpeg", "application/octet-stream")
BASE64 = {"type": "string", "format": "byte", "contentEncoding": "base64", "description": "A picture's file."}
CLOSED = {"type": "object", "additionalProperties": False}
REFUSED = {
    400: "The request is not HTTP.",
    401: "The server wants its token.",
    403: "Another site's page asks, or corrections are not taken.",
    404: "There is no such model, card or address.",
    405: "The address does not take this method.",
    408: "The request did not come in time.",
    409: "The model cannot tell pictures that are none of its classes.",
    413: "The body has more bytes, or the request more pictures, than are taken.",
    415: "The body is of a type that is not taken.",
    421: "The server does not go by this name.",
    422: "An option, the body or a picture cannot be read; `picture` says which one.",
    431: "The request's head is too long.",
    500: "The server made a mistake.",
    503: "The server has as many requests as it takes at a time, or is stopping: ask again.",
    504: "The work took too long.",
    507: "There is no room for more corrections.",
}


@dataclass(frozen=True)
class Operation:
    """One address and method.

    Attributes:
        form: of the answer; None: it is not JSON.
        options: after the question mark.
        body: the request's, as OpenAPI has it; None: there is none.
        refused: further statuses of refusals.
        media_type: of an answer that is not JSON.
    """

    method: str
    pattern: str
    endpoint: Endpoint
    form: type[BaseModel] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    refused: Sequence[int] = ()
    status: int = 200
    media_type: str = "text/plain"

    def documented(self) -> dict[str, Any]:
        """Arguments of `FastAPI.add_api_route`."""
        found = HTTPStatus(self.status).phrase
        told: dict[str, Any] = {"description": found}
        if self.form is None:
            told["content"] = {self.media_type: {"schema": {"type": "string"}}}
        statuses = sorted({*ANY_TIME, *self.refused, *(WITH_BODY if self.body else ())})
        extra: dict[str, Any] = {"parameters": [*self._path(), *self._query()]}
        if self.body:
            extra["requestBody"] = self.body
        if "{name}" not in self.pattern:
            statuses = [status for status in statuses if status != HTTPStatus.NOT_FOUND]
        return {
            "response_model": self.form,
            "response_class": JSONResponse if self.form else type("Text", (Response,), {"media_type": self.media_type}),
            "status_code": self.status,
            "responses": {self.status: told, **{status: _refusal(status) for status in statuses}},
            "openapi_extra": extra,
            "name": self.endpoint.__name__,
            "summary": (self.endpoint.__doc__ or "").strip(),
            "description": "",
            "tags": ["models" if self.pattern.startswith(addresses.MODELS) else "server"],
        }

    def _path(self) -> list[dict[str, Any]]:
        schema = {"type": "string", "minLength": 1}
        told = {"name": "name", "in": "path", "required": True, "schema": schema, "description": "The model's name."}
        return [{**told, "example": "digits-mlp-1"}] if "{name}" in self.pattern else []

    def _query(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name, "in": "query", "required": option.required, "description": option.told,
                "schema": dict(option.schema), **({} if option.example is None else {"example": option.example}),
            }
            for name, option in self.options.items()
        ]  # fmt: skip


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": REFUSED[status], "content": {PROBLEM: {"schema": schema}}}


def _body(*, many: bool) -> dict[str, Any]:
    raw = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURE_TYPES}
    one_file = {"type": "string", "format": "binary", "description": "A picture's file."}
    files = {"type": "array", "items": one_file, "minItems": 1} if many else one_file
    form = {"schema": {**CLOSED, "properties": {"picture": files}, "required": ["picture"]}}
    one = {**CLOSED, "properties": {"picture": BASE64}, "required": ["picture"]}
    array = {"type": "array", "items": BASE64, "minItems": 1}
    several = {**CLOSED, "properties": {"pictures": array}, "required": ["pictures"]}
    shown = {"pictures": [schemas.PNG, schemas.PNG]} if many else {"picture": schemas.PNG}
    json = {"schema": {"oneOf": [one, several]} if many else one, "example": shown}
    return {"required": True, "content": {**raw, "multipart/form-data": form, "application/json": json}}


ONE, MANY = _body(many=False), _body(many=True)
OPERATIONS = (
    Operation("GET", addresses.MODELS, information.models, schemas.Models),
    Operation("GET", addresses.MODEL, information.model, schemas.Model),
    Operation("GET", addresses.CARD, information.card, media_type="text/markdown"),
    Operation(
        "GET", addresses.EXAMPLES, information.examples, schemas.ExamplesOfTest, information.EXAMPLES_OPTIONS,
        refused=(504,),
    ),
    Operation(
        "POST", addresses.PREDICT, endpoints.predict, schemas.Predictions, endpoints.PREDICT_OPTIONS, MANY, (409,)
    ),
    Operation("POST", addresses.OCCLUSION, endpoints.occlusion, schemas.Occlusion, endpoints.OCCLUSION_OPTIONS, ONE),
    Operation(
        "POST", addresses.CORRECTIONS, endpoints.correct, schemas.Saved, endpoints.CORRECTION_OPTIONS, ONE, (507,), 201
    ),
    Operation("GET", addresses.LIVE, endpoints.live, schemas.State),
    Operation("GET", addresses.READY, endpoints.ready, schemas.State),
    Operation("GET", addresses.METRICS, information.metrics),
)  # fmt: skip


def complete(app: FastAPI, service: Service) -> None:
    """Has the application's OpenAPI also tell of refusals, the models' classes and, where it is needed, the token."""
    told_of: tuple[tuple[str, ...], ...] = ()

    def openapi() -> dict[str, Any]:
        nonlocal told_of
        classes = tuple(served.now.predictor.class_names for served in service.models.values())
        if app.openapi_schema is None or told_of != classes:
            told = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            problem = schemas.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            told.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem
            _name_classes(told, list(dict.fromkeys(name for names in classes for name in names)))
            if service.access.token is not None:
                _guard(told)
            app.openapi_schema, told_of = told, classes
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _name_classes(told: dict[str, Any], names: list[str]) -> None:
    """What a label may be, of any of the models."""
    for pattern, more in ((addresses.OCCLUSION, [""]), (addresses.CORRECTIONS, [])):
        for option in told["paths"][pattern]["post"]["parameters"]:
            if option["name"] == "label":
                option["schema"] = {"type": "string", "enum": [*more, *names]}
                option["example"] = names[0]


def _guard(told: dict[str, Any]) -> None:
    told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, methods in told["paths"].items():
        if not path.startswith("/health"):
            for operation in methods.values():
                operation["security"] = [{"token": []}]
