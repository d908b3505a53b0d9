"""What is answered to questions about the models themselves, and about the server."""

import asyncio
from http import HTTPStatus
from importlib import import_module

from eyespot.serving import query
from eyespot.serving.addresses import model_of
from eyespot.serving.asgi import Answer, Receive, Scope
from eyespot.serving.examples import chosen, load_examples
from eyespot.serving.json_text import to_json
from eyespot.serving.problems import Refusal, over_limit
from eyespot.serving.reading import Deadline, as_png
from eyespot.serving.service import Service

MOST_EXAMPLES = 200
EXAMPLES_OPTIONS = {"count": query.count(24, MOST_EXAMPLES, "How many, at most.")}


async def models(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as all endpoints
    """All models."""
    query.options_of(scope, {})
    return Answer(to_json({"models": [served.describe() for served in service.models.values()]}))


async def model(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as above
    """One model."""
    query.options_of(scope, {})
    return Answer(to_json(service.model(model_of(scope["path"])).describe()))


async def card(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as above
    """What a model is for, how good it is, and where it fails."""
    query.options_of(scope, {})
    served = service.model(model_of(scope["path"]))
    text = await asyncio.to_thread(served.card)
    if text is None:
        detail = f"{served.offer.name} has no model card: `eyespot report` writes one for a run."
        raise Refusal(HTTPStatus.NOT_FOUND, "card", detail)
    return Answer(text.encode("utf-8", "replace"), media_type="text/markdown; charset=utf-8")


async def examples(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as above
    """Some pictures of the test set, a few of each class."""
    served = service.model(model_of(scope["path"]))
    count, seconds = query.options_of(scope, EXAMPLES_OPTIONS)["count"], service.limits.work_seconds
    try:
        async with asyncio.timeout(seconds):
            found = await load_examples(served)
    except TimeoutError:
        sentence = f"The test pictures had not been read after {seconds:g} seconds"
        raise over_limit(HTTPStatus.GATEWAY_TIMEOUT, "work_seconds", seconds, sentence) from None
    names = served.now.predictor.class_names

    def work(deadline: Deadline) -> bytes:  # noqa: ARG001 - a few small pictures
        rows = chosen(found.labels, count)
        told = [{"label": names[found.labels[row]], "picture": as_png(found.images[row])} for row in rows]
        return to_json({"examples": told} | ({"note": found.note} if found.note else {}))

    return Answer(await service.workers.run(work))


async def metrics(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as above
    """Everything that is counted."""
    module = await asyncio.to_thread(import_module, "eyespot.serving.prometheus")
    return Answer(module.rendered(service.counts), media_type=module.MEDIA_TYPE)
