"""Strangers' pictures: what reading one may take, and what is left of the server after it."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot.errors import PictureError
from eyespot.serving import decoder, workers
from eyespot.serving.decoder import Job
from eyespot.serving.limits import ServerLimits
from eyespot.serving.workers import MOST_DECODERS, Decoders
from tests.data.picture_files import hostile
from tests.serving.conftest import CORRECTIONS, PREDICT, Running, Start, digit, png
from tests.serving.processes import served

SEVEN = digit(7)
JOB = Job("it", (8, 8, 1), "pad")
MEMORY = 200_000_000
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")


def photograph(side: int = 2_000) -> bytes:
    """A picture that takes more than little, with a bright square on it."""
    pixels = np.full((side, side), 20, np.uint8)
    pixels[side // 4 : side // 2, side // 4 : side // 2] = 220
    return hostile.encoded(Image.fromarray(pixels), "JPEG")


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    found = Decoders(MEMORY)
    yield found
    found.close()


def later(seconds: float) -> float:
    return time.monotonic() + seconds


def children(pid: int | None = None) -> set[int]:
    """The processes that a process has started."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == (pid or os.getpid()) and state != "Z":
            found.add(int(file.parent.name))
    return found


@pytest.mark.parametrize(
    "job", [JOB, replace(JOB, shape=(9, 7, 3), resize="crop"), replace(JOB, longest=100), replace(JOB, each=True)]
)
def test_a_process_reads_as_this_one_does(decoders: Decoders, job: Job):
    """To the last bit, with boxes and notes."""
    for content in (photograph(300), SEVEN):
        (there,), (here,) = decoders.read(job, content, later(60)), decoder.read(job, content)
        assert np.array_equal(there.image, here.image)
        assert (there.box, there.note) == (here.box, here.note)


def test_what_cannot_be_read_is_told_and_the_process_goes_on(decoders: Decoders):
    """The sentence is the reader's own."""
    with pytest.raises(PictureError, match="it is EPS, which is not read"):
        decoders.read(JOB, hostile.POSTSCRIPT, later(60))
    before = children()
    assert decoders.read(JOB, SEVEN, later(60))
    assert children() == before


@LINUX
def test_a_picture_gets_no_more_memory_than_it_may(decoders: Decoders):
    """One that needs more is refused, and the next is read."""
    with pytest.raises(PictureError, match="needs more memory than"):
        decoders.read(JOB, hostile.png(7_500, 7_500, color=2), later(60))
    assert decoders.read(JOB, SEVEN, later(60))


@LINUX
def test_a_process_that_takes_too_long_is_killed(decoders: Decoders):
    """At the deadline, whatever it does; the next picture is read by another."""
    assert decoders.read(JOB, SEVEN, later(60))
    (process,) = children()
    os.kill(process, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        decoders.read(JOB, SEVEN, later(0.5))
    assert time.monotonic() - started < 20
    assert not children()
    assert decoders.read(JOB, SEVEN, later(60))


@LINUX
def test_a_process_that_dies_is_replaced(decoders: Decoders):
    """Its picture is refused with a sentence."""
    assert decoders.read(JOB, SEVEN, later(60))
    (process,) = children()
    os.kill(process, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (process, signal.SIGKILL)).start()
    with pytest.raises(PictureError, match="it ended the process that decoded it"):
        decoders.read(JOB, SEVEN, later(60))
    assert decoders.read(JOB, SEVEN, later(60))


def test_no_more_is_taken_than_a_process_may_hold(tmp_path: Path):
    """A process that a picture has taken over cannot make the server reserve memory."""
    with (tmp_path / "answer").open("w+b") as stream:
        decoder.send(stream, {"pictures": []}, [bytes(100)])
        stream.seek(0)
        assert decoder.receive(stream, 200) == ({"pictures": []}, bytes(100))
    for announced in ((1 << 31, 0), (2, 1 << 60)):
        (tmp_path / "answer").write_bytes(decoder.LENGTHS.pack(*announced) + b"{}")
        with (tmp_path / "answer").open("rb") as stream, pytest.raises(ValueError, match="announced; 200 may come"):
            decoder.receive(stream, 200)


@LINUX
def test_there_are_only_a_few_processes(decoders: Decoders):
    """Who comes when all are taken waits for one, as long as it may."""
    threads = [
        threading.Thread(target=decoders.read, args=(JOB, photograph(), later(60))) for _ in range(4 * MOST_DECODERS)
    ]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(children()))
        time.sleep(0.01)
    assert most == MOST_DECODERS


@LINUX
def test_nothing_is_left_of_a_closed_pool():
    """Its processes end at once, those at work too."""
    decoders = Decoders(MEMORY)
    assert decoders.read(JOB, SEVEN, later(60))
    decoders.close()
    until = later(20)
    while children():
        assert time.monotonic() < until
        time.sleep(0.01)
    with pytest.raises(TimeoutError):
        decoders.read(JOB, SEVEN, later(60))


@LINUX
def test_little_pictures_need_no_process(start: Start):
    """What is drawn on the page, and a small photograph, are read at once; a large one is read by a process."""
    running = start()
    small = png(np.kron(np.eye(8, dtype=np.uint8), np.full((35, 35, 1), 255, np.uint8)[..., 0]))
    for content in (SEVEN, small):
        assert running.client.post(PREDICT, content=content).status_code == 200
    assert not children()
    assert running.client.post(PREDICT, content=photograph()).status_code == 200
    assert len(children()) == 1


def test_a_large_picture_is_answered_as_the_same_pictures_in_small(start: Start):
    """By predict, by several in a form, by occlusion and as a correction."""
    running = start()
    large = photograph(3_000)
    alone = running.client.post(PREDICT, content=large).json()["predictions"]
    several = running.client.post(PREDICT, files=[("a", ("x.jpg", large)), ("b", ("y.png", SEVEN))]).json()[
        "predictions"
    ]
    assert several[0] == alone[0] | {"picture": "x.jpg"}
    assert running.client.post(PREDICT.replace("predict", "occlusion"), content=large).status_code == 200
    kept = running.client.post(f"{CORRECTIONS}?label=7&as_is=true", content=large).json()
    with Image.open(Path(kept["folder"]) / kept["saved"]) as saved:
        assert saved.size == (1_024, 1_024)


@LINUX
def test_a_picture_that_takes_too_long_holds_no_worker(start: Start):
    """It is refused when the time of its request is over, and its thread is free then."""
    running = start()
    assert running.client.post(PREDICT, content=photograph()).status_code == 200
    (process,) = children()
    os.kill(process, signal.SIGSTOP)
    running.service.workers._limits = ServerLimits(work_seconds=0.5)  # too short to start the process
    answer = running.client.post(PREDICT, content=photograph(), timeout=60)
    assert (answer.status_code, answer.json()["reason"]) == (504, "work_seconds")
    until = later(20)
    while running.service.workers._begun:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert running.client.post(PREDICT, content=SEVEN).status_code == 200


def test_readiness_tells_when_no_worker_is_free(start: Start, monkeypatch: pytest.MonkeyPatch):
    """While all threads have long been at the same work, other requests would wait: the server is not ready."""
    running = start(work_seconds=30.0)
    go, predictor = threading.Event(), running.service.models["digits"].current.predictor
    patient = predictor.probabilities

    def slow(images: np.ndarray) -> np.ndarray:
        go.wait(30)
        return patient(images)

    monkeypatch.setattr(predictor, "probabilities", slow)
    monkeypatch.setattr(workers, "HELD", 0.1)
    threads = running.service.workers._threads
    asking = [threading.Thread(target=ask, args=(running,)) for _ in range(threads)]
    for thread in asking[1:]:
        thread.start()
    time.sleep(0.2)
    assert running.client.get("/health/ready").status_code == 200
    asking[0].start()
    until = later(20)
    while (answer := running.client.get("/health/ready")).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert (answer.status_code, answer.json()["reason"], answer.headers["retry-after"]) == (503, "busy", "1")
    assert running.client.get("/health/live").status_code == 200
    go.set()
    for thread in asking:
        thread.join()
    assert running.client.get("/health/ready").status_code == 200


def ask(running: Running) -> None:
    running.client.post(PREDICT, content=SEVEN, timeout=60)


ATTACKS = ("iptc", "webp at the limit of pixels", "jpeg of scans", "png texts", "png alpha", "png exif", "tiff strips")


@LINUX
def test_a_server_with_little_outlives_every_attack(model_folder: Path, tmp_path: Path):
    """With 1,024 files and 1 GiB of memory it refuses or answers each, and good pictures between them and beside."""
    limits = [(resource.RLIMIT_NOFILE, 1_024), (resource.RLIMIT_AS, 1 << 30)]
    before = [resource.getrlimit(which) for which, _ in limits]
    contents = [hostile.attacks(19_000_000)[name]() for name in ATTACKS]
    with served(model_folder, tmp_path / "log", "--quiet", "--no-corrections", "--stop-seconds", 2) as process:
        for which, most in limits:
            resource.prlimit(process.process.pid, which, (most, most))
        client = process.client
        for content in contents:
            assert client.post(PREDICT, content=content).status_code in {200, 422, 504}
            assert client.post(PREDICT, content=SEVEN).json()["predictions"][0]["label"] == "7"
        beside = [threading.Thread(target=client.post, args=(PREDICT,), kwargs={"content": each}) for each in contents]
        for thread in beside:
            thread.start()
        while any(thread.is_alive() for thread in beside):
            assert client.post(PREDICT, content=SEVEN).json()["predictions"][0]["label"] == "7"
        assert client.get("/health/ready").status_code == 200
        assert process.process.poll() is None
        pid = process.process.pid
        process.process.terminate()
        assert process.process.wait(30) == 0
    assert not children(pid)
    assert [resource.getrlimit(which) for which, _ in limits] == before
