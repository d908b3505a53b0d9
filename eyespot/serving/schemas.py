"""OpenAPI: the schemas of the answers, and the options, bodies and refusals of each address, with examples.

What is sent is made elsewhere, and tests compare the two.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from eyespot.serving import endpoints
from eyespot.serving.endpoints import ENDPOINTS, JSON, Endpoint
from eyespot.serving.problems import PROBLEM
from eyespot.serving.requests import Option
from eyespot.serving.served_models import Service

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR4nGNgGAXIAAABCAABdVQW4QAAAABJRU5ErkJggg=="
ABOUT = """Classifies pictures with models by eyespot.

Refusals are problem details (RFC 9457); `detail` is a sentence, and where a limit is exceeded, `option` sets it.
"""
REFERENCE = "#/components/schemas/{model}"
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


def describe_service(service: Service) -> dict[str, Any]:
    """Return the OpenAPI description, with the classes of the models and, where it is needed, the token."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), endpoint in ENDPOINTS.items():
        if endpoint in OPERATIONS:  # the page is for people
            paths.setdefault(path, {})[method.lower()] = OPERATIONS[endpoint].describe(method, path, endpoint)
    _name_classes(paths, service)
    components: dict[str, Any] = {"schemas": _schemas()}
    if service.access.token is not None:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, methods in paths.items():
            for operation in methods.values() if not path.startswith("/health") else ():
                operation["security"] = [{"token": []}]
    info = {"title": "eyespot", "description": ABOUT, "version": version("eyespot")}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}


@dataclass(frozen=True)
class Operation:
    """What OpenAPI says of one endpoint.

    Attributes:
        schema: of the answer; None: the answer is not JSON.
        options: after the question mark.
        body: the request's, as OpenAPI has it; None: there is none.
        refused: further statuses of refusals.
        status: of the answer.
        media_type: of an answer that is not JSON.
    """

    schema: type[BaseModel] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    refused: Sequence[int] = ()
    status: int = 200
    media_type: str = "text/plain"

    def describe(self, method: str, path: str, endpoint: Endpoint) -> dict[str, Any]:
        """Return the operation as OpenAPI has it."""
        summary = (endpoint.__doc__ or "").strip()
        name = re.sub(r"\W", "_", f"{endpoint.__name__}{path}")
        operation = {
            "tags": ["models" if path.startswith("/v1/models") else "server"],
            "summary": summary,
            "description": summary,
            "operationId": f"{name}_{method.lower()}",
            "parameters": [*_path_parameters(path), *self._query_parameters()],
            "responses": {str(self.status): self._answer(), **self._refusals(path)},
        }
        return operation | ({"requestBody": self.body} if self.body else {})

    def _answer(self) -> dict[str, Any]:
        schema = {"type": "string"} if self.schema is None else _reference(self.schema)
        content = {self.media_type if self.schema is None else JSON: {"schema": schema}}
        return {"description": HTTPStatus(self.status).phrase, "content": content}

    def _refusals(self, path: str) -> dict[str, Any]:
        statuses = {*ANY_TIME, *self.refused, *(WITH_BODY if self.body else ())}
        if "{name}" not in path:
            statuses.discard(HTTPStatus.NOT_FOUND)
        content = {PROBLEM: {"schema": _reference(Problem)}}
        return {str(status): {"description": REFUSED[status], "content": content} for status in sorted(statuses)}

    def _query_parameters(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name, "in": "query", "required": option.required, "description": option.description,
                "schema": dict(option.schema), **({} if option.example is None else {"example": option.example}),
            }
            for name, option in self.options.items()
        ]  # fmt: skip


class Strict(BaseModel):
    """A schema with exactly these members."""

    model_config = ConfigDict(extra="forbid")


class Size(Strict):
    """Of the pictures a model sees, in pixels."""

    height: int = Field(examples=[28])
    width: int = Field(examples=[28])
    channels: int = Field(examples=[1])


class Model(Strict):
    """A model that is served."""

    name: str = Field(examples=["digits-mlp-1"])
    classes: list[str] = Field(examples=[["0", "1", "2"]])
    input: Size
    resize: str = Field(description="How a picture is brought to that size: pad, crop or squash.", examples=["squash"])
    appearance: dict[str, Any] | None = Field(description="What its training images look like, where that is known.")
    rejects: bool = Field(description="Whether it can answer 'none of these'.")
    corrections: bool = Field(description="Whether corrections are taken.")
    card: bool = Field(description="Whether it has a model card.")
    loaded: str = Field(description="When, ISO 8601, UTC.", examples=["2026-01-31T12:00:00Z"])
    refused: str | None = Field(
        description="Why the file that lies there now is not served, and the model as it was loaded goes on."
    )


class Models(Strict):
    """All models that are served."""

    models: list[Model]


class Example(Strict):
    """A test image with its right label."""

    label: str = Field(examples=["7"])
    picture: str = Field(description="A PNG in base64.", examples=[PNG])


class ExamplesOfTest(Strict):
    """Pictures of the run's test set."""

    examples: list[Example]
    note: str | None = Field(None, description="What to know of them, such as why there are none.")


class Class(Strict):
    """A class, and how probable it is."""

    label: str = Field(examples=["7"])
    probability: float = Field(ge=0, le=1, examples=[0.98])


class OnePrediction(Strict):
    """What a picture, or an object on it, shows."""

    picture: str = Field(description="Its file's name, or its number in the request.", examples=["0"])
    label: str = Field(description="The most probable class, or 'none of these' where it is rejected.", examples=["7"])
    probability: float = Field(ge=0, le=1, description="Of the most probable class.", examples=[0.98])
    top: list[Class] = Field(description="The most probable classes, best first.")
    rejected: bool | None = Field(None, description="Whether it is none of the classes; where that was asked for.")
    strangeness: float | None = Field(None, description="How unlike anything the model has seen it is; likewise.")
    threshold: float | None = Field(None, description="The strangeness above which it is rejected; likewise.")
    box: list[int] | None = Field(
        None, min_length=4, max_length=4, description="Where the object is: left, top, right, bottom, in pixels."
    )
    note: str | None = Field(None, description="What to know of how the picture was read.")
    seen: str | None = Field(None, description="The picture as the model sees it, a PNG in base64; with seen=true.")


class Predictions(Strict):
    """What pictures show."""

    model: str = Field(examples=["digits-mlp-1"])
    predictions: list[OnePrediction]


def _body(*, many: bool) -> dict[str, Any]:
    raw = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURE_TYPES}
    one_file = {"type": "string", "format": "binary", "description": "A picture's file."}
    files = {"type": "array", "items": one_file, "minItems": 1} if many else one_file
    form = {"schema": {**CLOSED, "properties": {"picture": files}, "required": ["picture"]}}
    single = {**CLOSED, "properties": {"picture": BASE64}, "required": ["picture"]}
    array = {"type": "array", "items": BASE64, "minItems": 1}
    several = {**CLOSED, "properties": {"pictures": array}, "required": ["pictures"]}
    example = {"pictures": [PNG, PNG]} if many else {"picture": PNG}
    json = {"schema": {"oneOf": [single, several]} if many else single, "example": example}
    return {"required": True, "content": {**raw, "multipart/form-data": form, "application/json": json}}


ONE, MANY = _body(many=False), _body(many=True)


class Occlusion(Strict):
    """How much the logit of a class falls where a part of the picture is covered."""

    label: str = Field(examples=["7"])
    logit: float = Field(examples=[9.1])
    map: list[list[float]] = Field(
        description="height x width: above 0 what speaks for the class, below 0 what speaks against it.",
        examples=[[[0.1, -0.2], [0.0, 1.5]]],
    )
    seen: str = Field(description="The picture as the model sees it, a PNG in base64.", examples=[PNG])


class Saved(Strict):
    """A correction that is kept."""

    saved: str = Field(
        description="Its path below the folder.", examples=["7/20260131T120000.000000Z-0123456789ab.png"]
    )
    folder: str = Field(description="A folder that `eyespot train` takes.", examples=["runs/digits-mlp-1/corrections"])


class State(Strict):
    """How the server is."""

    status: str = Field(examples=["ready"])


OPERATIONS: dict[Endpoint, Operation] = {
    endpoints.models: Operation(Models),
    endpoints.model: Operation(Model),
    endpoints.card: Operation(media_type="text/markdown"),
    endpoints.examples: Operation(ExamplesOfTest, endpoints.EXAMPLES_OPTIONS, refused=(504,)),
    endpoints.predict: Operation(Predictions, endpoints.PREDICT_OPTIONS, MANY, (409,)),
    endpoints.occlusion: Operation(Occlusion, endpoints.OCCLUSION_OPTIONS, ONE),
    endpoints.correct: Operation(Saved, endpoints.CORRECTION_OPTIONS, ONE, (507,), 201),
    endpoints.live: Operation(State),
    endpoints.ready: Operation(State),
    endpoints.metrics: Operation(),
}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    if "{name}" not in path:
        return []
    schema = {"type": "string", "minLength": 1}
    name = {"name": "name", "in": "path", "required": True, "schema": schema, "description": "The model's name."}
    return [{**name, "example": "digits-mlp-1"}]


def _reference(schema: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=schema.__name__)}


class Problem(BaseModel):
    """Why a request is not answered as it was meant (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Content Too Large"])
    status: int = Field(examples=[413])
    detail: str = Field(description="What is wrong, and what to do: a sentence.")
    reason: str = Field(description="The same in a word, as the metrics have it.", examples=["body_bytes"])
    limit: float | None = Field(None, description="The limit that is exceeded.", examples=[20_000_000])
    option: str | None = Field(None, description="The server's option that sets it.", examples=["--max-body-bytes"])
    picture: int | None = Field(None, description="Which picture it is about, from 0.")


def _name_classes(paths: dict[str, dict[str, Any]], service: Service) -> None:
    """Say what a label may be, of any of the models."""
    classes = dict.fromkeys(name for model in service.models.values() for name in model.current.predictor.class_names)
    names = list(classes)
    for path, others in (("/v1/models/{name}/occlusion", [""]), ("/v1/models/{name}/corrections", [])):
        for option in paths[path]["post"]["parameters"]:
            if option["name"] == "label":
                option["schema"] = {"type": "string", "enum": [*others, *names]}
                option["example"] = names[0]


@cache
def _schemas() -> dict[str, Any]:
    answers = [operation.schema for operation in OPERATIONS.values() if operation.schema is not None]
    _, definitions = models_json_schema(
        [(schema, "serialization") for schema in dict.fromkeys(answers)], ref_template=REFERENCE
    )
    # A problem's members are absent where they have no value: it is described as what may be read.
    schemas = {**definitions["$defs"], "Problem": Problem.model_json_schema(ref_template=REFERENCE)}
    return dict(sorted(schemas.items()))
