"""The server's life: it takes an address, listens, answers, and stops at a signal."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from html import escape
from types import TracebackType

import uvicorn

from eyespot.errors import ServingError
from eyespot.serving.app import Application
from eyespot.serving.log import LogHandler
from eyespot.serving.protocol import protocol_for
from eyespot.serving.served_models import Service, watch

KEEP_ALIVE = 60  # seconds that a connection may stay open without a request
DRAIN = 1.0  # seconds in which new requests are refused with an answer, before nobody listens any more
GRACE = 0.5  # seconds, at most, for those who had just connected then
TICK = 0.01  # seconds between two looks at whether they are still there
BACKLOG = 2048  # who may wait to be let in
AT_ONCE = 16  # who is let in before others are looked at: those above the limit are cut off some rounds later
GAVE_UP = 128 + signal.SIGTERM


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket, on which nobody is answered yet.

    Raises:
        ServingError: the address is taken, or not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # By its protocol asyncio knows that it may send small packets at once; else each answer waits for 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ServingError(
            f"There is no address {host!r} here ({error.strerror or error}): name another `host`."
        ) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ServingError(
            f"Nobody can listen on {host} port {port} ({reason}): choose another `port` or `host`."
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address that a browser takes."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_stopped(service: Service, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; where it has to give up, end the process, since no thread can be stopped."""
    _log_to(service, "uvicorn", "asyncio", "python_multipart")

    def ready() -> None:
        gc.freeze()  # what the start has made is no garbage, and need not be looked through again and again
        on_ready()

    async def served() -> bool:
        server, loop = Server(service), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, server.stop)
        return await server.live(listener, ready)

    if not asyncio.run(served()):
        service.log.event("Gave up on requests that had not ended in time.", "error")
        sys.stdout.flush()
        os._exit(GAVE_UP)


def _log_to(service: Service, *names: str) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [LogHandler(service.log)], False


class BackgroundServer:
    """A server in a thread of this process, beside a program or a notebook; it ends with the process at the latest.

    Attributes:
        url: the address that a browser takes.

    Example:
        >>> with eyespot.serve(run, background=True) as server:
        ...     requests.post(f"{server.url}/v1/models/digits/predict", data=png)
    """

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self.url = address_of(listener)
        self._listener, self._models = listener, list(service.models)
        _log_to(service, "uvicorn", "python_multipart")
        self._started: Future[tuple[Server, asyncio.AbstractEventLoop]] = Future()
        self._thread = threading.Thread(target=self._live, args=(service,), name=f"eyespot at {self.url}", daemon=True)
        self._thread.start()
        self._server, self._loop = self._started.result()

    @property
    def is_running(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop; what was accepted is finished first, within the limits of `ServerLimits.stop_seconds`."""
        with suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join()

    def _live(self, service: Service) -> None:
        async def served() -> None:
            server, loop = Server(service), asyncio.get_running_loop()
            await server.live(self._listener, lambda: self._started.set_result((server, loop)))

        with self._listener:
            try:
                asyncio.run(served())
            except BaseException as error:
                if self._started.done():
                    raise
                self._started.set_exception(error)

    def __enter__(self) -> "BackgroundServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{', '.join(self._models)} at {self.url}{'' if self.is_running else ', stopped'}>"

    def _repr_html_(self) -> str:
        link = f'<a href="{escape(self.url)}" target="_blank" rel="noopener">{escape(self.url)}</a>'
        return f"{escape(', '.join(self._models))} at {link}{'' if self.is_running else ', stopped'}"


class Server(uvicorn.Server):
    """uvicorn's server, which stops in steps: it refuses with an answer, stops listening, finishes, and ends."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            uvicorn.Config(
                Application(service), http=protocol_for(service), ws="none", lifespan="off", loop="asyncio",
                log_config=None, access_log=False, server_header=False, proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE, backlog=AT_ONCE,
            )
        )  # fmt: skip
        self._service = service
        self._stopping: asyncio.Task[None] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether something that was accepted has not been answered."""
        return bool(self.server_state.tasks) or self._service.in_flight > 0

    def stop(self) -> None:
        """Begin to stop; called again, end at once."""
        if self._stopping is not None:
            self.should_exit = self.force_exit = True
            return
        self._service.closing = True
        self._stopping = asyncio.get_running_loop().create_task(self._drain())

    async def live(self, listener: socket.socket, on_ready: Callable[[], None]) -> bool:
        """Serve until `stop`, and return whether all that was accepted has been answered."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(watch(self._service)), loop.create_task(self._begin(listener, on_ready))]
        try:
            await self.serve([listener])
        finally:
            for task in tasks:
                task.cancel()
            self._service.workers.close()
        return not self.unfinished

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down as uvicorn does, but first let nobody new in, and answer clients that had just connected."""
        loop = asyncio.get_running_loop()
        waiting = [connection for listener in sockets or [] for connection in _waiting_connections(listener)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            with suppress(OSError):  # gone again
                await loop.connect_accepted_socket(self._protocol, connection)
        end = loop.time() + GRACE
        await asyncio.sleep(TICK)  # in which the loop takes up the connections that it has accepted
        while self.server_state.connections and not self.force_exit and loop.time() < end:
            await asyncio.sleep(TICK)
        await super().shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve_until_stopped`."""
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

    async def _begin(self, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        while not self.started:
            await asyncio.sleep(0.001)
        listener.listen(BACKLOG)
        on_ready()


def _waiting_connections(listener: socket.socket) -> list[socket.socket]:
    """Return the connections made since the loop last looked, which the system would cut off once nobody listens."""
    waiting: list[socket.socket] = []
    with suppress(OSError):  # nobody is left
        while len(waiting) < BACKLOG:
            connection, _ = listener.accept()
            connection.setblocking(False)
            waiting.append(connection)
    return waiting
