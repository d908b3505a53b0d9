"""The address that is listened on, and how a server stops."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from eyespot.errors import ServingError
from eyespot.serving import server as module
from eyespot.serving.server import address_of, bind
from eyespot.workflow.serve import serve
from tests.serving import raw
from tests.serving.conftest import PREDICT, Running, Start, digit
from tests.serving.processes import Process, served

SEVEN = digit(7)


def refuses(port: int) -> bool:
    """Whether nobody listens."""
    try:
        raw.connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def reads_a_request(server: Process) -> bool:
    return "eyespot_requests_in_flight 1.0" in server.client.get("/metrics").text


def test_what_was_accepted_is_finished(model_folder: Path, tmp_path: Path):
    """A request whose body is still coming is answered; new ones get a 503 that closes, and the exit code is 0."""
    with served(model_folder, tmp_path / "log") as server, ExitStack() as stack:

        def connected() -> socket.socket:
            return stack.enter_context(raw.connect(server.port))

        slow, asked, silent = connected(), connected(), connected()
        asked.sendall(raw.post(PREDICT, SEVEN))
        first = raw.answer(asked)
        assert first is not None
        assert "connection" not in first.headers
        slow.sendall(raw.head("POST", PREDICT, f"Content-Length: {len(SEVEN)}"))
        until(lambda: reads_a_request(server))
        server.process.terminate()
        until(lambda: server.client.get("/health/ready").status_code == 503)
        for connection in (asked, connected()):
            connection.sendall(raw.post(PREDICT, SEVEN))
            refused = raw.answer(connection)
            assert refused is not None
            assert (refused.status, refused.headers["connection"], refused.json()["reason"]) == (
                503,
                "close",
                "stopping",
            )
            assert raw.answer(connection) is None
        until(lambda: refuses(server.port))
        assert raw.answer(silent) is None
        slow.sendall(SEVEN)
        got = raw.answer(slow)
        assert got is not None
        assert (got.status, got.headers["connection"]) == (200, "close")
        assert got.json()["predictions"][0]["label"] == "7"
        assert server.process.wait(5) == 0


def test_it_ends_in_time(model_folder: Path, tmp_path: Path):
    """A request that never comes to its end does not keep it; that it gave up is said, and is its exit code."""
    with served(model_folder, tmp_path / "log", "--stop-seconds", 2) as server, raw.connect(server.port) as connection:
        connection.sendall(raw.head("POST", PREDICT, "Content-Length: 10"))
        until(lambda: reads_a_request(server))
        started = time.monotonic()
        server.process.terminate()
        assert server.process.wait(10) == 143
        assert 1 < time.monotonic() - started < 3
        assert any("Gave up" in str(line.get("event")) for line in server.lines())


def test_told_twice_it_gives_up(model_folder: Path, tmp_path: Path):
    """As with Ctrl-C, Ctrl-C."""
    with served(model_folder, tmp_path / "log") as server, raw.connect(server.port) as connection:
        connection.sendall(raw.head("POST", PREDICT, "Content-Length: 10"))
        until(lambda: reads_a_request(server))
        server.process.send_signal(signal.SIGINT)
        until(lambda: server.client.get("/health/ready").status_code == 503)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(5) == 143


def test_idle_connections_do_not_keep_it(model_folder: Path, tmp_path: Path):
    """After Ctrl-C it ends soon, and well."""
    with served(model_folder, tmp_path / "log") as server, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(raw.connect(server.port))
        assert server.client.get("/health/ready").status_code == 200  # by then, those before have been let in
        started = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(5) == 0
        assert time.monotonic() - started < 4


def test_told_twice_it_waits_for_nobody(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Neither for those who may still come, nor for those who are there."""
    monkeypatch.setattr(module, "DRAIN", 60.0)
    monkeypatch.setattr(module, "GRACE", 60.0)
    running = start(stop_seconds=400.0)
    assert running.client.get("/health/ready").status_code == 200
    running.stop()
    until(lambda: running.client.get("/health/ready").status_code == 503)
    running.stop()
    until(running.loop.is_closed)


def test_nobody_is_waited_for_where_nobody_is(start: Start, monkeypatch: pytest.MonkeyPatch):
    """A server to which no client is connected ends as soon as it listens no more."""
    monkeypatch.setattr(module, "DRAIN", 0.01)
    monkeypatch.setattr(module, "GRACE", 60.0)
    running = start()
    running.stop()
    until(running.loop.is_closed)


def test_a_thread_that_works_is_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch):
    """What is computed when the stop comes is still sent."""
    monkeypatch.setattr(module, "DRAIN", 0.01)
    running = start()
    predictor = running.service.models["digits"].current.predictor
    begun, go, patient = threading.Event(), threading.Event(), predictor.probabilities

    def slow(images: object) -> object:
        begun.set()
        go.wait(10)
        return patient(images)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "probabilities", slow)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(running.client.post(PREDICT, content=SEVEN)))
    asking.start()
    assert begun.wait(5)
    running.stop()
    until(lambda: refuses(running.port))
    go.set()
    asking.join()
    assert [answer.status_code for answer in answers] == [200]


def test_small_packets_are_sent_at_once(shared: Running):
    """Without that, head and body of an answer are 40 ms apart: the system waits for an acknowledgement in between."""
    assert shared.client.get("/health/live").status_code == 200
    (connection, *_) = shared.server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_address_is_what_a_browser_takes():
    """Also of IPv6."""
    with bind("127.0.0.1", 0) as taken:
        assert address_of(taken) == f"http://127.0.0.1:{taken.getsockname()[1]}"
    if socket.has_ipv6:
        with bind("::1", 0) as taken:
            assert address_of(taken) == f"http://[::1]:{taken.getsockname()[1]}"


@pytest.mark.parametrize("host", ["192.0.2.1", "no host"])
def test_an_address_of_another_machine(host: str):
    """One sentence."""
    with pytest.raises(ServingError, match="`host`"):
        bind(host, 0)


def test_a_server_beside_a_program(model_folder: Path):
    """In the background it answers at its url until it is stopped, more than once if need be."""
    server = serve(model_folder, port=0, quiet=True, background=True)
    assert server is not None
    with server:
        assert server.is_running
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        assert repr(server) == f"<digits at {server.url}>"
        assert f'<a href="{server.url}"' in server._repr_html_()
    server.stop()
    assert repr(server).endswith(", stopped>")
    assert refuses(int(server.url.rpartition(":")[2]))


def test_a_notebook_goes_on(model_folder: Path):
    """Where an event loop runs already, as in a notebook, `serve` returns, and the loop stays free."""

    async def cell() -> int:
        server = serve(model_folder, port=0, quiet=True)
        assert server is not None
        async with httpx.AsyncClient() as client:
            status = (await client.get(f"{server.url}/health/ready")).status_code
        await asyncio.to_thread(server.stop)
        return status

    assert asyncio.run(cell()) == 200


def test_what_fails_before_it_serves_is_raised(model_folder: Path):
    """A port that is taken is an error of the call, and the server that has it goes on."""
    server = serve(model_folder, port=0, quiet=True, background=True)
    assert server is not None
    with server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ServingError, match=f"port {port}"):
            serve(model_folder, port=port, background=True)
        assert server.is_running
