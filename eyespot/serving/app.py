"""Application: all requests come here; the quick ones are answered at once, FastAPI answers the others."""

import asyncio
from importlib import import_module

from eyespot.serving.addresses import LIVE, PREDICT, READY, pattern_of
from eyespot.serving.asgi import App, Receive, Scope, Send
from eyespot.serving.endpoints import Endpoint, live, predict, ready
from eyespot.serving.front import Admitted, Recorded
from eyespot.serving.service import Service

QUICK: dict[tuple[str, str], Endpoint] = {("POST", PREDICT): predict, ("GET", LIVE): live, ("GET", READY): ready}
SETTLE = 1.0  # seconds in which a first prediction is not disturbed by imports


class Application:
    """What uvicorn calls.

    FastAPI takes as long to import as all that a prediction needs: it is loaded once that is done, or somebody asks for
    what it answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rest: asyncio.Task[App] | None = None
        inner: App = Admitted(self._answer, service)
        if service.access.origins:
            from eyespot.serving.cross_origin import cross_origin

            inner = cross_origin(inner, service.access.origins)
        self._app = Recorded(inner, service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        await self._app(scope, receive, send)

    async def prepare(self) -> None:
        """Loads FastAPI while there is time."""
        await asyncio.sleep(SETTLE)
        await self._others()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        quick = QUICK.get((scope["method"], pattern_of(scope["path"])))
        if quick is not None:
            answer = await quick(self._service, scope, receive)
            await answer.send(send)
            return
        rest = await self._others()
        await rest(scope, receive, send)

    async def _others(self) -> App:
        if self._rest is None:
            self._rest = asyncio.get_running_loop().create_task(self._load())
        return await asyncio.shield(self._rest)

    async def _load(self) -> App:
        module = await asyncio.to_thread(import_module, "eyespot.serving.rest")
        app: App = await asyncio.to_thread(module.rest, self._service)
        return app
