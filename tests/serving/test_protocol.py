"""Bytes that two readers could take for different requests: each has one reading here, or is refused."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest

from eyespot.serving import guard
from eyespot.serving.limits import ServerLimits
from eyespot.serving.protocol import MOST_WAITING
from eyespot.serving.served_models import Deployment
from tests.serving import raw
from tests.serving.conftest import PNG, PREDICT, Running, Start, digit
from tests.serving.models import write_model

SEVEN = digit(7)
FIRST = "X-Request-ID: first"
NEXT = raw.head("GET", "/health/live", "X-Request-ID: next")
LIVE = b'{"status":"live"}'
UPGRADE = ("Connection: Upgrade", "Upgrade: h2c")
SMUGGLED = raw.head("GET", "/metrics", "X-Request-ID: smuggled")
CUT = ("eyespot_refused_total", {"reason": "connections"})
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(SEVEN)}"


def head(*headers: str, method: str = "POST", path: str = PREDICT) -> bytes:
    return raw.head(method, path, FIRST, *headers)


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


def upgrading(body: bytes, *headers: str) -> bytes:
    return head(*UPGRADE, *headers, f"Content-Length: {len(body)}") + body


ANSWERED = {
    "no Upgrade": (head(LENGTH) + SEVEN, 200),
    "Upgrade: h2c": (upgrading(SEVEN), 200),
    "as Java asks": (
        head(
            "Connection: Upgrade, HTTP2-Settings", LENGTH, "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
            "Upgrade: h2c",
        ) + SEVEN, 200,
    ),
    "a body that is a request": (upgrading(SMUGGLED), 422),
    "empty lines before it": (upgrading(b"\r\n" * 300_000 + SMUGGLED), 422),
    "small letters, several protocols": (
        head("connection: keep-alive, upgrade", "upgrade: foo/1, bar", LENGTH) + SEVEN, 200,
    ),
    "chunks": (head(*UPGRADE, CHUNKED) + chunks(SEVEN[:50], SEVEN[50:]), 200),
    "with Expect": (upgrading(SEVEN, "Expect: 100-continue"), 200),
    "twice": (upgrading(SEVEN, "Connection: Upgrade", "Upgrade: websocket"), 200),
    "WebSocket": (
        head("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", method="GET", path="/v1/models"),
        200,
    ),
    "WebSocket with a body": (
        head("Connection: Upgrade", "Upgrade: websocket", f"Content-Length: {len(SMUGGLED)}", method="GET",
             path="/v1/models") + SMUGGLED, 200,
    ),
    "extension of a chunk": (head(CHUNKED) + b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(SEVEN), SEVEN), 200),
    "trailers": (head(CHUNKED) + chunks(SEVEN)[:-2] + b"Host: evil.example\r\nAccept: x\r\n\r\n", 200),
}  # fmt: skip


def exchanged(port: int, sent: bytes, piece: int | None = None) -> list[raw.Got]:
    """All answers on one connection, until it is closed or quiet; what is sent comes at once or in pieces."""
    data = b""
    with raw.connect(port, 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = piece or len(sent)
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it had come
            for start in range(0, len(sent), step):
                connection.sendall(sent[start : start + step])
                time.sleep(0.001 if piece else 0)
        with suppress(TimeoutError, ConnectionResetError):
            while not data.endswith(LIVE) and (part := connection.recv(65536)):
                data += part
    return list(answers(data))


def answers(data: bytes) -> Iterator[raw.Got]:
    while data:
        top, _, data = data.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if (status := int(first.split()[1])) != 100:
            yield raw.Got(status, headers, data[:length])
        data = data[length:]


def logged(running: Running, since: int, count: int) -> list[tuple[object, object]]:
    """Id and status of all requests in the log, once there are so many: one that has no body may be logged late."""
    end = time.monotonic() + 5
    while True:
        found = [(line["id"], line["status"]) for line in running.log()[since:] if "status" in line]
        if len(found) >= count or time.monotonic() > end:
            return found
        time.sleep(0.01)


@pytest.mark.parametrize("name", ANSWERED)
@pytest.mark.parametrize("pieces", [False, True])
def test_one_request_is_one_request(shared: Running, name: str, pieces: bool):
    """Whatever protocol it offers, a request is answered by its own body, and the next on the connection after it."""
    sent, status = ANSWERED[name]
    since = len(shared.log())
    got = exchanged(shared.port, sent + NEXT, max(40, len(sent) // 40) if pieces else None)
    assert [answer.status for answer in got] == [status, 200]
    if "predictions" in got[0].json():
        assert got[0].json()["predictions"][0]["label"] == "7"
    assert got[1].body == LIVE
    assert logged(shared, since, 2) == [("first", status), ("next", 200)]


REFUSED = {
    "two lengths": head("Content-Length: 5", "Content-Length: 6") + b"12345",
    "length and chunks": head("Content-Length: 5", CHUNKED) + b"0\r\n\r\n",
    "chunks and length": head(CHUNKED, LENGTH) + SEVEN,
    "a list of lengths": head(f"{LENGTH}, {len(SEVEN)}") + SEVEN,
    "a signed length": head(f"Content-Length: +{len(SEVEN)}") + SEVEN,
    "another last coding": head("Transfer-Encoding: chunked, identity") + chunks(SEVEN),
    "another coding": head("Transfer-Encoding: gzip, chunked") + chunks(SEVEN),
    "no coding": head("Transfer-Encoding: identity") + SEVEN,
    "a coding twice": head(CHUNKED, CHUNKED) + chunks(SEVEN),
    "a coding of HTTP/1.0": head(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + chunks(SEVEN),
    "a space before the colon": head("Transfer-Encoding : chunked", LENGTH) + SEVEN,
    "a folded header": head(LENGTH, "Transfer-Encoding:\r\n chunked") + SEVEN,
    "bare line feeds": head(LENGTH).replace(b"\r\n", b"\n") + SEVEN,
    "one bare line feed": head(LENGTH, "X: a\nTransfer-Encoding: chunked") + SEVEN,
    "a bare carriage return": head(LENGTH, "X: a\rTransfer-Encoding: chunked") + SEVEN,
    "two hosts": head("Host: evil.example", LENGTH) + SEVEN,
    "no host": head(LENGTH).replace(b"Host: 127.0.0.1\r\n", b"") + SEVEN,
    "a chunk longer than it says": head(CHUNKED) + b"5\r\nabcdefg\r\n0\r\n\r\n",
    "a chunk after a line feed": head(CHUNKED) + b"%x\n" % len(SEVEN) + SEVEN + b"\r\n0\r\n\r\n",
    "a negative chunk": head(CHUNKED) + b"-1\r\nabc\r\n0\r\n\r\n",
    "a chunk beyond all numbers": head(CHUNKED) + b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": raw.head("CONNECT", "example.org:80", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,
    "CONNECT and Upgrade": raw.head("CONNECT", "example.org:80", *UPGRADE) + SMUGGLED,
    "very many headers": head(*["a: b"] * 120, LENGTH) + SEVEN,
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_two_readings_is_refused(shared: Running, name: str):
    """It has one answer, a problem, is counted once, and the connection ends, so that nothing after it is read."""
    since = len(shared.log())
    got = exchanged(shared.port, REFUSED[name] + NEXT)
    status = {"CONNECT": 405, "CONNECT and Upgrade": 405, "very many headers": 431}.get(name, 400)
    assert [(answer.status, answer.headers["connection"]) for answer in got] == [(status, "close")]
    assert got[0].headers["content-type"] == "application/problem+json"
    assert [line[1] for line in logged(shared, since, 1)] == [status]


def test_a_refusal_waits_for_its_turn(start: Start, monkeypatch: pytest.MonkeyPatch):
    """What cannot be read after whole requests is answered after them: no answer is taken for another request's."""
    running = start()
    predictor = running.service.models["digits"].current.predictor
    patient = predictor.probabilities

    def slow(images: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return patient(images)

    monkeypatch.setattr(predictor, "probabilities", slow)
    got = exchanged(running.port, (head(LENGTH) + SEVEN) * 2 + b"garbage\r\n\r\n")
    assert [answer.status for answer in got] == [200, 200, 400]


def test_requests_after_the_last_are_not_read(shared: Running):
    """A client that says it is done is not answered a second time."""
    got = exchanged(shared.port, head("Connection: Upgrade, close", "Upgrade: h2c", LENGTH) + SEVEN + NEXT)
    assert [answer.status for answer in got] == [200]


def test_requests_that_wait_on_one_connection(shared: Running):
    """Of many in one piece, as many as may wait are answered in order; the next is refused, and the connection ends."""
    statuses = [got.status for got in exchanged(shared.port, raw.head("GET", "/v1/models") * 40)]
    assert statuses == [200] * (len(statuses) - 1) + [429]
    assert len(statuses) == MOST_WAITING + 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_http2(shared: Running, tmp_path: Path):
    """`curl --http2` offers HTTP/2, and is content with HTTP/1.1."""
    (tmp_path / "seven.png").write_bytes(SEVEN)
    command = ["curl", "--http2", "--silent", "--max-time", "10", "--data-binary", f"@{tmp_path / 'seven.png'}"]
    headers = [part for name, value in PNG.items() for part in ("-H", f"{name}: {value}")]
    done = subprocess.run([*command, *headers, f"{shared.address}{PREDICT}"], capture_output=True, check=False)
    if done.returncode == 2 or b"does not support" in done.stderr:
        pytest.skip("this curl has no HTTP/2")
    assert done.returncode == 0
    assert b'"label":"7"' in done.stdout


def stalled(port: int, request: bytes) -> socket.socket:
    """A client that asks, and takes as little of the answer as it can."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request)
    return connection


def test_an_answer_that_is_not_taken_is_given_up(start: Start, tmp_path: Path):
    """A client that does not read its answers is cut off after a while, and others are answered meanwhile."""
    write_model(tmp_path / "digits", tuple(str(digit) + "x" * 200_000 for digit in range(10)))
    running = start(Deployment("digits", tmp_path / "digits"), body_seconds=0.5, concurrent=2)
    asking = raw.head("GET", "/v1/models") * 20  # 2 MB each, more than the system takes
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(stalled(running.port, asking))
        for _ in range(3):
            assert running.client.post(PREDICT, content=SEVEN).status_code == 200
        running.client.close()
        end = time.monotonic() + 15
        while running.service.connections._open and time.monotonic() < end:
            time.sleep(0.01)
        assert not running.service.connections._open
        assert running.service.connections._held == 0


def test_more_connections_than_are_taken(start: Start):
    """The one that has been waited for longest makes room for the next, whether it is idle or sends no more."""
    running = start(connections=5)
    with ExitStack() as stack:
        for sent in (b"", b"", b"", *[head(LENGTH) + SEVEN[:1]] * 3):
            stack.enter_context(raw.connect(running.port, 5)).sendall(sent)
        for _ in range(12):
            got = raw.ask(running.port, head(LENGTH) + SEVEN)
            assert got is not None
            assert got.status == 200
        cut = running.service.metrics.registry.get_sample_value(*CUT)
        assert cut is not None
        assert cut >= 1
        assert len(running.service.connections._open) <= 5


@pytest.mark.parametrize(("files", "most"), [(1 << 30, 1000), (1024, 832), (64, 16)])
def test_fewer_connections_where_fewer_files_may_be_open(monkeypatch: pytest.MonkeyPatch, files: int, most: int):
    """Connections leave files for the process itself, however few it may open."""
    monkeypatch.setattr(guard, "open_files", lambda: files)
    assert guard.Connections(ServerLimits()).most == most


def test_bytes_that_are_held(start: Start):
    """Bodies that do not come to their end make room for others, and are not kept beyond the limit."""
    running = start(held_bytes=100_000, body_bytes=60_000)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(raw.connect(running.port, 5)).sendall(head("Content-Length: 60000") + bytes(40_000))
        for _ in range(3):
            assert running.client.post(PREDICT, content=SEVEN).status_code == 200
            assert running.service.connections._held <= 100_000
