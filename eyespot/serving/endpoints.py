"""What each address answers; an endpoint takes a request, and returns its response or raises a refusal."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from eyespot.data.dataset import choose_examples
from eyespot.inference.ood import DEFAULT_RATE
from eyespot.serving import predictions, prometheus, requests
from eyespot.serving.problems import RETRY, Refusal, over_limit, to_json
from eyespot.serving.served_models import ServedModel, Service
from eyespot.serving.workers import Deadline

Endpoint = Callable[[Service, Request], Awaitable[Response]]
JSON = "application/json"
MOST_TOP = 1_000
MOST_EXAMPLES = 200
AS_IS = requests.flag("Only resize pictures; do not look for the object on them.")
PREDICT_OPTIONS = {
    "top": requests.count(3, MOST_TOP, "How many classes to name, at most all of them."),
    "reject": requests.flag("Answer 'none of these' where a picture is unlike anything the model has seen."),
    "reject_rate": requests.share(
        "Answer 'none of these' as strictly as would reject this share of the validation images; reject alone: 0.01.",
        0.05,
    ),
    "as_is": AS_IS,
    "each": requests.flag("Read several objects on one picture, one by one."),
    "seen": requests.flag("Add each picture as the model sees it: a PNG in base64."),
}
OCCLUSION_OPTIONS = {
    "label": requests.text("The class to explain; by default the one that is predicted.", "7"),
    "as_is": AS_IS,
}
CORRECTION_OPTIONS = {
    "label": requests.text("What the picture shows, one of the model's classes.", "7", required=True),
    "as_is": requests.flag("Save the picture itself, not the object that was found on it."),
}
EXAMPLES_OPTIONS = {"count": requests.count(24, MOST_EXAMPLES, "How many, at most.")}
PAGE_INDEX = "index.html"
PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json",
}
# Nothing from elsewhere, nothing inline; pictures that the page makes itself are data or blobs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


async def predict(service: Service, request: Request) -> Response:
    """What pictures show."""
    model = _model(service, request)
    options = requests.read_options(request, PREDICT_OPTIONS)
    predictor = model.current.predictor
    rate = options["reject_rate"] or (DEFAULT_RATE if options["reject"] else None)
    if rate is not None:
        predictions.rejection_threshold(predictor, rate)  # where the model cannot reject, before anything is read
    content_type, body = await _body(service, request)

    def work(deadline: Deadline) -> tuple[bytes, list[str], int]:
        uploads = requests.read_uploads(content_type, body, service.limits)
        pictures = predictions.read_pictures(
            predictor, uploads, service.limits, deadline, options["as_is"], options["each"]
        )
        rows = predictions.predict_pictures(predictor, pictures, options["top"], rate, seen=options["seen"])
        return to_json({"model": model.name, "predictions": rows}), [row["label"] for row in rows], len(uploads)

    content, labels, count = await service.workers.run(work)
    service.metrics.predictions(model.name, labels, count)
    return Response(content, media_type=JSON)


async def model(service: Service, request: Request) -> Response:
    """One model."""
    requests.read_options(request, {})
    return Response(to_json(_model(service, request).describe()), media_type=JSON)


async def models(service: Service, request: Request) -> Response:
    """All models."""
    requests.read_options(request, {})
    return Response(to_json({"models": [model.describe() for model in service.models.values()]}), media_type=JSON)


async def card(service: Service, request: Request) -> Response:
    """What a model is for, how good it is, and where it fails."""
    requests.read_options(request, {})
    model = _model(service, request)
    text = await asyncio.to_thread(model.card)
    if text is None:
        detail = f"{model.name} has no model card: `eyespot report` writes one for a run."
        raise Refusal(HTTPStatus.NOT_FOUND, "card", detail)
    return Response(text.encode("utf-8", "replace"), media_type="text/markdown")


async def examples(service: Service, request: Request) -> Response:
    """Some pictures of the test set, a few of each class."""
    model = _model(service, request)
    count, seconds = requests.read_options(request, EXAMPLES_OPTIONS)["count"], service.limits.work_seconds
    try:
        async with asyncio.timeout(seconds):
            test_examples = await model.examples()
    except TimeoutError:
        sentence = f"The test images had not been read after {seconds:g} seconds"
        raise over_limit(HTTPStatus.GATEWAY_TIMEOUT, "work_seconds", seconds, sentence) from None
    names = model.current.predictor.class_names

    def work(deadline: Deadline) -> bytes:  # noqa: ARG001 - a few small pictures
        rows = choose_examples(test_examples.labels, count)
        entries = [
            {"label": names[test_examples.labels[row]], "picture": predictions.png_text(test_examples.images[row])}
            for row in rows
        ]
        return to_json({"examples": entries} | ({"note": test_examples.note} if test_examples.note else {}))

    return Response(await service.workers.run(work), media_type=JSON)


async def occlusion(service: Service, request: Request) -> Response:
    """Where on a picture a class is found."""
    predictor = _model(service, request).current.predictor
    options = requests.read_options(request, OCCLUSION_OPTIONS)
    if options["label"] is not None:
        predictions.class_index(predictor, options["label"])
    content_type, body = await _body(service, request)

    def work(deadline: Deadline) -> bytes:
        upload = requests.read_upload(content_type, body, service.limits)
        (picture,) = predictions.read_pictures(predictor, [upload], service.limits, deadline, options["as_is"])
        return to_json(predictions.occlusion_map(predictor, picture, options["label"]))

    return Response(await service.workers.run(work), media_type=JSON)


async def correct(service: Service, request: Request) -> Response:
    """Saves a picture with its right label."""
    model = _model(service, request)
    options = requests.read_options(request, CORRECTION_OPTIONS)
    corrections, predictor = model.corrections, model.current.predictor
    if corrections is None:
        raise Refusal(HTTPStatus.FORBIDDEN, "corrections_off", "This server was started to take no corrections.")
    predictions.class_index(predictor, options["label"])
    content_type, body = await _body(service, request)

    def work(deadline: Deadline) -> bytes:
        upload = requests.read_upload(content_type, body, service.limits)
        image = predictions.read_correction(predictor, upload, service.limits, deadline, as_is=options["as_is"])
        path = corrections.save(image, options["label"], predictor.class_names)
        return to_json({"saved": path.as_posix(), "folder": str(corrections.folder)})

    return Response(await service.workers.run(work), HTTPStatus.CREATED, media_type=JSON)


async def live(service: Service, request: Request) -> Response:  # noqa: ARG001 - as all endpoints
    """The process answers."""
    return Response(b'{"status":"live"}', media_type=JSON)


async def ready(service: Service, request: Request) -> Response:  # noqa: ARG001 - as all endpoints
    """Requests are taken, and a worker is free for them."""
    if service.closing:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "The server is stopping.")
    if service.workers.held:
        detail = "No worker is free: all are at work that takes long. Ask again later, or another server."
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, RETRY)
    return Response(b'{"status":"ready"}', media_type=JSON)


async def metrics(service: Service, request: Request) -> Response:  # noqa: ARG001 - as all endpoints
    """Everything that is counted."""
    return Response(service.metrics.text(), media_type=prometheus.MEDIA_TYPE)


async def page(service: Service, request: Request) -> Response:  # noqa: ARG001 - as all endpoints
    """The page itself, or the file of it that the address names.

    Starlette's StaticFiles also serves files of Python, and knows no policy.
    """
    name = request.path_params.get("file", PAGE_INDEX)
    kind = PAGE_TYPES.get("." + name.rpartition(".")[2])
    content = await asyncio.to_thread(_page_file, name) if kind else None
    if kind is None or content is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "address", f"The page has no file {name[:100]!r}.")
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**PAGE_HEADERS, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(b"", HTTPStatus.NOT_MODIFIED, headers, kind)
    return Response(content, headers=headers, media_type=kind)


ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/models/{name}/predict"): predict,
    ("GET", "/v1/models"): models,
    ("GET", "/v1/models/{name}"): model,
    ("GET", "/v1/models/{name}/card"): card,
    ("GET", "/v1/models/{name}/examples"): examples,
    ("POST", "/v1/models/{name}/occlusion"): occlusion,
    ("POST", "/v1/models/{name}/corrections"): correct,
    ("GET", "/health/live"): live,
    ("GET", "/health/ready"): ready,
    ("GET", "/metrics"): metrics,
    ("GET", "/"): page,
    ("GET", "/page/{file:path}"): page,
}


def _model(service: Service, request: Request) -> ServedModel:
    return service.model(request.path_params["name"])


async def _body(service: Service, request: Request) -> tuple[str, bytes]:
    """Return the body's type, as the head has it, and the body."""
    body = await requests.read_body(request, service.limits, service.connections)
    return request.headers.get("content-type", ""), body


def _page_file(name: str) -> bytes | None:
    """Return a file's content; None where there is none of that name below the page's folder."""
    path: Traversable = files("eyespot.webapp")
    for part in name.split("/"):
        entries = {entry.name: entry for entry in path.iterdir()} if path.is_dir() else {}
        if part not in entries:  # so that no name can lead elsewhere
            return None
        path = entries[part]
    return path.read_bytes() if path.is_file() else None
