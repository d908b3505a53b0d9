"""The server's life: it listens, answers, and stops when it is told to."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn

from eyespot.serving.app import Application
from eyespot.serving.log import Events
from eyespot.serving.protocol import protocol_for
from eyespot.serving.reload import watch
from eyespot.serving.service import Service

KEEP_ALIVE = 60  # seconds that a connection may stay open without a request
DRAIN = 1.0  # seconds in which new requests are refused with an answer, before nobody listens any more
GRACE = 0.5  # seconds for those who had just connected then
BACKLOG = 2048  # who may wait to be let in
AT_ONCE = 16  # who is let in before others are looked at: those above the limit are cut off some rounds later
GAVE_UP = 128 + signal.SIGTERM


class Server(uvicorn.Server):
    """uvicorn's server, which stops in steps: it refuses with an answer, stops listening, finishes, and ends."""

    def __init__(self, service: Service) -> None:
        self.application = Application(service)
        super().__init__(
            uvicorn.Config(
                self.application, http=protocol_for(service), ws="none", lifespan="off", loop="asyncio",
                log_config=None, access_log=False, server_header=False, proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE, backlog=AT_ONCE,
            )
        )  # fmt: skip
        self._service = service
        self._stopping: asyncio.Task[None] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether something that was accepted has not been answered."""
        return bool(self.server_state.tasks) or self._service.counts.in_flight > 0

    def stop(self) -> None:
        """Begins to stop; told again, it ends at once."""
        if self._stopping is not None:
            self.force_exit = True
            return
        self._service.closing = True
        self._stopping = asyncio.get_running_loop().create_task(self._drain())

    async def live(self, taken: socket.socket, on_ready: Callable[[], None]) -> bool:
        """Serves until it is told to stop; whether all that was accepted has been answered."""
        loop = asyncio.get_running_loop()
        beside = [loop.create_task(watch(self._service)), loop.create_task(self._begin(taken, on_ready))]
        try:
            await self.serve([taken])
        finally:
            for task in beside:
                task.cancel()
            self._service.workers.close()
        return not self.unfinished

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, but first nobody new is let in, and whoever had just come is answered."""
        waiting = [connection for taken in sockets or [] for connection in _who_waits(taken)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            with suppress(OSError):  # gone again
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(GRACE)
        await super().shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `serve_until_stopped`."""
        yield

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state={}
        )
        return protocol

    async def _drain(self) -> None:
        stop_seconds = self._service.limits.stop_seconds
        drain = min(DRAIN, stop_seconds / 4)
        self.config.timeout_graceful_shutdown = max(0.1, stop_seconds - drain - 2 * GRACE)  # type: ignore[assignment]
        await asyncio.sleep(drain)
        self.should_exit = True

    async def _begin(self, taken: socket.socket, on_ready: Callable[[], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.001)
        taken.listen(BACKLOG)
        on_ready()
        await self.application.prepare()


def _who_waits(taken: socket.socket) -> list[socket.socket]:
    """Who has connected since the loop last looked: the system would cut them off once nobody listens."""
    waiting: list[socket.socket] = []
    with suppress(OSError):  # nobody is left
        while len(waiting) < BACKLOG:
            connection, _ = taken.accept()
            connection.setblocking(False)
            waiting.append(connection)
    return waiting


def serve_until_stopped(service: Service, taken: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or Ctrl-C; where it has to give up, it ends the process, since no thread can be stopped."""
    for name in ("uvicorn", "asyncio", "python_multipart"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [Events(service.log)], False

    async def served() -> bool:
        server, loop = Server(service), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, server.stop)
        return await server.live(taken, on_ready)

    if not asyncio.run(served()):
        service.log.event("Gave up on requests that had not ended in time.", "error")
        sys.stdout.flush()
        os._exit(GAVE_UP)
