"""What is answered to questions about a model's pictures; each takes a request, and gives its answer or a refusal."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from eyespot.inference.ood import DEFAULT_RATE
from eyespot.serving import answers, query
from eyespot.serving.addresses import model_of
from eyespot.serving.asgi import Answer, Receive, Scope, header
from eyespot.serving.body import read_body
from eyespot.serving.correcting import correction
from eyespot.serving.json_text import to_json
from eyespot.serving.problems import Refusal
from eyespot.serving.reading import Deadline, read_uploads
from eyespot.serving.service import Service
from eyespot.serving.uploads import Upload, uploads
from eyespot.serving.workers import RETRY

Endpoint = Callable[[Service, Scope, Receive], Awaitable[Answer]]
MOST_TOP = 1_000

AS_IS = query.flag("Only resize pictures; do not look for the object on them.")
PREDICT_OPTIONS = {
    "top": query.count(3, MOST_TOP, "How many classes to name, at most all of them."),
    "reject": query.flag("Answer 'none of these' where a picture is unlike anything the model has seen."),
    "reject_rate": query.share(
        "Likewise, as strictly as would reject this share of the validation pictures; 0.01 with reject alone.", 0.05
    ),
    "as_is": AS_IS,
    "each": query.flag("Read several objects on one picture, one by one."),
    "seen": query.flag("Add each picture as the model sees it: a PNG in base64."),
}
OCCLUSION_OPTIONS = {
    "label": query.text("The class to explain; by default the one that is predicted.", "7"),
    "as_is": AS_IS,
}
CORRECTION_OPTIONS = {
    "label": query.text("What the picture shows, one of the model's classes.", "7", required=True),
    "as_is": query.flag("Save the picture itself, not the object that was found on it."),
}


async def predict(service: Service, scope: Scope, receive: Receive) -> Answer:
    """What pictures show."""
    served = service.model(model_of(scope["path"]))
    options = query.options_of(scope, PREDICT_OPTIONS)
    predictor, name = served.now.predictor, served.offer.name
    rate = options["reject_rate"] or (DEFAULT_RATE if options["reject"] else None)
    if rate is not None:
        answers.threshold_of(predictor, rate)  # a model that cannot reject is told before anything is read
    content_type, body = _type(scope), await read_body(scope, receive, service)

    def work(deadline: Deadline) -> tuple[bytes, list[str], int]:
        found = uploads(content_type, body, service.limits)
        read = read_uploads(predictor, found, service.limits, deadline, options["as_is"], options["each"])
        told = answers.predictions(predictor, read, options["top"], rate, seen=options["seen"])
        labels = [one["label"] for one in told]
        return to_json({"model": name, "predictions": told}), labels, len(found)

    content, labels, pictures = await service.workers.run(work)
    service.counts.predicted(name, labels, pictures)
    return Answer(content)


async def occlusion(service: Service, scope: Scope, receive: Receive) -> Answer:
    """Where on a picture a class is found."""
    served = service.model(model_of(scope["path"]))
    options = query.options_of(scope, OCCLUSION_OPTIONS)
    predictor = served.now.predictor
    if options["label"] is not None:
        answers.class_index(predictor, options["label"])
    content_type, body = _type(scope), await read_body(scope, receive, service)

    def work(deadline: Deadline) -> bytes:
        found = _one(uploads(content_type, body, service.limits))
        (read,) = read_uploads(predictor, [found], service.limits, deadline, options["as_is"])
        return to_json(answers.occluded(predictor, read, options["label"]))

    return Answer(await service.workers.run(work))


async def correct(service: Service, scope: Scope, receive: Receive) -> Answer:
    """Saves a picture with its right label."""
    served = service.model(model_of(scope["path"]))
    options = query.options_of(scope, CORRECTION_OPTIONS)
    kept, predictor = served.corrections, served.now.predictor
    if kept is None:
        raise Refusal(HTTPStatus.FORBIDDEN, "corrections_off", "This server takes no corrections (--no-corrections).")
    answers.class_index(predictor, options["label"])
    content_type, body = _type(scope), await read_body(scope, receive, service)

    def work(deadline: Deadline) -> dict[str, Any]:
        found = _one(uploads(content_type, body, service.limits))
        image = correction(predictor, found, service.limits, deadline, as_is=options["as_is"])
        place = kept.save(image, options["label"], predictor.class_names)
        return {"saved": place.as_posix(), "folder": str(kept.folder)}

    return Answer(to_json(await service.workers.run(work)), HTTPStatus.CREATED)


async def live(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as the others
    """The process answers."""
    return Answer(b'{"status":"live"}')


async def ready(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as the others
    """Requests are taken, and a worker is free for them."""
    if service.closing:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "The server is stopping.")
    if service.workers.held:
        detail = "No worker is free: all are at work that takes long. Ask again later, or another server."
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, RETRY)
    return Answer(b'{"status":"ready"}')


def _type(scope: Scope) -> str:
    return (header(scope, b"content-type") or b"").decode("latin-1")


def _one(found: list[Upload]) -> Upload:
    if len(found) > 1:
        detail = f"One picture is asked for here; received {len(found)}."
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "body", detail)
    return found[0]
