"""Servers that really listen, in a thread of the test's process."""

import asyncio
import io
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from eyespot.serving.guard import Access, hosts_for
from eyespot.serving.limits import ServerLimits
from eyespot.serving.log import Log
from eyespot.serving.served_models import Deployment, Service, open_service
from eyespot.serving.server import Server, address_of, bind
from tests.serving.models import digits, write_model

PREDICT = "/v1/models/digits/predict"
OCCLUSION = "/v1/models/digits/occlusion"
CORRECTIONS = "/v1/models/digits/corrections"
PNG = {"content-type": "image/png"}
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # these servers speak plain HTTP; reading them takes 20 ms


def client_of(address: str, timeout: float = 20) -> httpx.Client:
    """A client of a server of these tests."""
    return httpx.Client(base_url=address, timeout=timeout, verify=NO_CERTIFICATES)


@dataclass
class Running:
    """A server that is running."""

    address: str
    service: Service
    server: Server
    loop: asyncio.AbstractEventLoop
    lines: io.StringIO
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.stop)


@contextmanager
def serving(
    *deployments: Deployment, limits: ServerLimits | None = None, access: Access | None = None
) -> Iterator[Running]:
    """A server of some models, on a free port of this machine."""
    lines, ready, found = io.StringIO(), threading.Event(), []
    access = access or Access(hosts=hosts_for("127.0.0.1", ()))
    service = open_service(deployments, limits or ServerLimits(stop_seconds=8), access, Log(write=lines.write))

    taken = bind("127.0.0.1", 0)

    def lives() -> None:
        async def run() -> None:
            server = Server(service)
            found.append((server, asyncio.get_running_loop()))
            await server.live(taken, ready.set)

        asyncio.run(run())

    thread = threading.Thread(target=lives)
    thread.start()
    assert ready.wait(20)
    server, loop = found[0]
    address = address_of(taken)
    with client_of(address) as client:
        yield Running(address, service, server, loop, lines, client)
    for _ in range(2):  # the second call ends it at once
        if thread.is_alive():
            loop.call_soon_threadsafe(server.stop)
    thread.join(20)
    assert not thread.is_alive()


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `digits` with a model that reads digits, rejects, and knows what training images look like."""
    return write_model(tmp_path_factory.mktemp("models") / "digits", photographs=True, rejects=True).parent


@pytest.fixture
def start(model_folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a server of the digits, with any limits and access; it ends with the test."""
    with ExitStack() as stack:

        def started(*deployments: Deployment, access: Access | None = None, **limits: Any) -> Running:
            given = deployments or (Deployment("digits", model_folder, tmp_path / "corrections"),)
            taken = ServerLimits(**{"stop_seconds": 8.0, **limits})
            return stack.enter_context(serving(*given, limits=taken, access=access))

        yield started


@pytest.fixture(scope="module")
def shared(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests of a module that change nothing."""
    with serving(Deployment("digits", model_folder, tmp_path_factory.mktemp("shared") / "kept")) as running:
        yield running


def png(image: np.ndarray) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image).save(file, "PNG")
    return file.getvalue()


def digit(label: int) -> bytes:
    """The first test image of a digit, as a PNG."""
    _, test = digits()
    return png(np.asarray(test.images[int(np.flatnonzero(test.labels == label)[0])]))
