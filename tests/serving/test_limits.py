"""Every limit, one below it, at it, and one above it."""

import base64
import re
import threading
import time
import zlib
from dataclasses import fields

import numpy as np
import pytest

from eyespot.data.picture import MAX_PIXELS
from eyespot.errors import UsageError
from eyespot.serving.limits import OPTIONS, ServerLimits
from tests.serving import raw
from tests.serving.conftest import CORRECTIONS, PREDICT, Running, Start, client_of, digit, png

SEVEN = digit(7)


def refused(told: dict[str, object], name: str, limit: float) -> None:
    """A refusal that names the limit, its value and its option, in its members and in its sentence."""
    shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
    assert (told["reason"], told["limit"], told["option"]) == (name, limit, OPTIONS[name])
    assert str(told["detail"]).endswith(f"; the limit is {shown} ({OPTIONS[name]}).")


def test_every_limit_has_an_option():
    """No limit can be reached that cannot be set; the pixels are those that `eyespot predict` reads."""
    assert set(OPTIONS) == {field.name for field in fields(ServerLimits)}
    assert ServerLimits().pixels == MAX_PIXELS


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_is_above_0(value: float):
    """A limit of nothing is refused before anything is served."""
    with pytest.raises(UsageError, match=re.escape("`limits.work_seconds` must be above 0")):
        ServerLimits(work_seconds=value)


@pytest.mark.parametrize("declared", [True, False])
def test_body_bytes(start: Start, declared: bool):
    """Bytes are counted as they come, whether the length is told before or the body comes in pieces."""
    limit = len(SEVEN) + 10  # what follows a PNG's end is not looked at
    running = start(body_bytes=limit)
    for more, status in ((-1, 200), (0, 200), (1, 413)):
        body = SEVEN.ljust(limit + more, b"\0")
        content = body if declared else iter([body[:50], body[50:]])
        answer = running.client.post(PREDICT, content=content)
        assert answer.status_code == status
        if status == 413:
            refused(answer.json(), "body_bytes", limit)
            assert answer.headers["connection"] == "close"
    assert running.client.post(PREDICT, content=SEVEN).status_code == 200


def test_a_body_beyond_the_limit_is_not_kept(start: Start):
    """Of 40 MB that come in pieces without end of a limit of 1,000 bytes, next to nothing stays in memory."""
    running = start(body_bytes=1000)
    with raw.connect(running.port) as connection:
        connection.sendall(raw.head("POST", PREDICT, "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(640):
            connection.sendall(piece)
        connection.sendall(b"0\r\n\r\n")
        got = raw.answer(connection)
    assert got is not None
    assert got.status == 413
    refused(got.json(), "body_bytes", 1000)


def test_a_client_that_waits_for_our_word_is_told_at_once(start: Start):
    """A body that is declared too long is refused before it is sent, where the client asks first."""
    running = start(body_bytes=1000)
    asking = raw.head("POST", PREDICT, "Content-Length: 1001", "Expect: 100-continue")
    got = raw.ask(running.port, asking)
    assert got is not None
    assert (got.status, got.headers["connection"]) == (413, "close")


def test_a_refusal_closes_where_a_body_may_follow(shared: Running):
    """A client that asked first and is refused may send its body or not: the connection ends, so that none can tell."""
    asking = raw.head("POST", "/v1/models/nobody/predict", "Content-Length: 5", "Expect: 100-continue")
    got = raw.ask(shared.port, asking)
    assert got is not None
    assert (got.status, got.headers["connection"]) == (404, "close")


def test_pixels(start: Start):
    """Width times height of a picture, of which only the head is read."""
    running = start(pixels=600)
    for width, status in ((599, 200), (600, 200), (601, 422)):
        answer = running.client.post(PREDICT, content=png(np.zeros((1, width), np.uint8)))
        assert answer.status_code == status
    refused(answer.json(), "pixels", 600)
    assert answer.json()["picture"] == 0
    kept = running.client.post(f"{CORRECTIONS}?label=7&as_is=true", content=png(np.zeros((1, 601), np.uint8)))
    refused(kept.json(), "pixels", 600)


def test_a_bomb_is_not_unpacked(shared: Running):
    """A PNG of a few bytes that says it has 2**31 - 1 pixels a side, and one of 70 million, are refused at once."""
    header = bytearray(png(np.zeros((1, 1), np.uint8)))
    for width, height in ((2**31 - 1, 2**31 - 1), (70_000_000, 1)):
        header[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
        started = time.monotonic()
        answer = shared.client.post(PREDICT, content=bytes(header))
        assert answer.status_code == 422
        assert time.monotonic() - started < 2
        refused(answer.json(), "pixels", MAX_PIXELS)


@pytest.mark.parametrize("way", ["form", "json"])
def test_pictures(start: Start, way: str):
    """In a form and in JSON."""
    running = start(pictures=3)
    encoded = base64.b64encode(SEVEN).decode()
    for count, status in ((2, 200), (3, 200), (4, 413)):
        if way == "form":
            answer = running.client.post(PREDICT, files=[("p", ("x.png", SEVEN))] * count)
        else:
            answer = running.client.post(PREDICT, json={"pictures": [encoded] * count})
        assert answer.status_code == status
    refused(answer.json(), "pictures", 3)


def test_concurrent_requests(start: Start, monkeypatch: pytest.MonkeyPatch):
    """One more than are worked on is refused, and told when to come again; once they are done, the next is taken."""
    running = start(concurrent=3)
    go, predictor = threading.Event(), running.service.models["digits"].current.predictor
    patient = predictor.probabilities

    def slow(images: np.ndarray) -> np.ndarray:
        go.wait(15)
        return patient(images)

    monkeypatch.setattr(predictor, "probabilities", slow)
    waiting = [raw.connect(running.port) for _ in range(3)]
    try:
        for connection in waiting:
            connection.sendall(raw.post(PREDICT, SEVEN))
        _until(lambda: running.service.workers._pending == 3)
        answer = running.client.post(PREDICT, content=SEVEN)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        refused(answer.json(), "concurrent", 3)
        assert running.client.get("/health/live").status_code == 200
        assert running.client.get("/metrics").status_code == 200
        go.set()
        assert [got and got.status for got in map(raw.answer, waiting)] == [200, 200, 200]
        assert running.client.post(PREDICT, content=SEVEN).status_code == 200
    finally:
        go.set()
        for connection in waiting:
            connection.close()


def test_requests_that_have_not_come_take_no_place(start: Start):
    """However many bodies are waited for, whole requests are answered."""
    running = start(concurrent=3)
    waiting = [raw.connect(running.port) for _ in range(12)]
    try:
        for connection in waiting:
            connection.sendall(raw.head("POST", PREDICT, f"Content-Length: {len(SEVEN)}") + SEVEN[:1])
        _until(lambda: running.service.in_flight == len(waiting))
        assert running.client.post(PREDICT, content=SEVEN).status_code == 200
        waiting[0].sendall(SEVEN[1:])
        got = raw.answer(waiting[0])
        assert got is not None
        assert got.status == 200
    finally:
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize("part", ["head", "body"])
def test_body_seconds(start: Start, part: str):
    """A request that does not come in time is refused, and one that comes just before is answered."""
    running = start(body_seconds=1.0)
    whole = raw.post(PREDICT, SEVEN)
    cut = 20 if part == "head" else len(whole) - 5
    with raw.connect(running.port) as slow, raw.connect(running.port) as never:
        for connection in (slow, never):
            connection.sendall(whole[:cut])
        time.sleep(0.6)
        slow.sendall(whole[cut:])
        answered, late = raw.answer(slow), raw.answer(never)
    assert answered is not None
    assert late is not None
    assert (answered.status, late.status, late.headers["connection"]) == (200, 408, "close")
    refused(late.json(), "body_seconds", 1.0)


def test_a_connection_on_which_nothing_comes_is_closed(start: Start):
    """Without an answer, since nothing was asked."""
    running = start(body_seconds=0.3)
    with raw.connect(running.port, 5) as connection:
        assert raw.answer(connection) is None


def test_a_head_without_end(shared: Running):
    """Headers that never stop are refused at some 64 KiB, in pieces as they come."""
    with raw.connect(shared.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        got = None
        for number in range(2000):
            try:
                connection.sendall(f"x{number}: {'y' * 100}\r\n".encode())
            except OSError:
                break
        got = raw.answer(connection)
    assert got is not None
    assert (got.status, got.json()["reason"]) == (431, "head")


def test_work_seconds(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Work that takes too long is no longer waited for; it counts until it ends, and then all is as before."""
    running = start(work_seconds=0.4, concurrent=2)
    go, predictor = threading.Event(), running.service.models["digits"].current.predictor
    patient = predictor.probabilities

    def slow(images: np.ndarray) -> np.ndarray:
        go.wait(10)
        return patient(images)

    monkeypatch.setattr(predictor, "probabilities", slow)
    answers = [running.client.post(PREDICT, content=SEVEN) for _ in range(3)]
    go.set()
    assert [answer.status_code for answer in answers] == [504, 504, 503]
    refused(answers[0].json(), "work_seconds", 0.4)
    refused(answers[2].json(), "concurrent", 2)
    _until(lambda: running.client.post(PREDICT, content=SEVEN).status_code == 200)


def test_corrections_that_are_kept(start: Start):
    """One more than are kept is refused; what is there already counts."""
    running = start(corrections=2)
    path = f"{CORRECTIONS}?label=7"
    assert [running.client.post(path, content=SEVEN).status_code for _ in range(3)] == [201, 201, 507]
    refused(running.client.post(path, content=SEVEN).json(), "corrections", 2)


def _until(holds: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_refusals_leave_the_connection_usable(shared: Running):
    """After a refusal that does not close, the next request on the connection is answered."""
    with client_of(shared.address) as client:
        for _ in range(3):
            assert client.post("/v1/models/x/predict", content=SEVEN).status_code == 404
            assert client.post(PREDICT, content=SEVEN).status_code == 200
