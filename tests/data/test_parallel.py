import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from eyespot.data import parallel
from eyespot.data.parallel import map_in_processes


@pytest.fixture(params=[True, False], ids=["forked processes", "threads"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to share, with three helpers."""
    monkeypatch.setattr(parallel, "FORKS", request.param)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    return bool(request.param)


def slowly(number: int) -> tuple[int, int, int]:
    time.sleep(0.01)
    return number * number, os.getpid(), threading.get_ident()


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_every_number_is_worked_on_once(kind: bool, count: int):
    """Whoever does it; several do where there is enough."""
    found = list(map_in_processes(slowly, count))
    assert sorted(number for number, _ in found) == list(range(count))
    assert all(square == number * number for number, (square, _, _) in found)
    if count == 40:
        assert len({(process, thread) for _, (_, process, thread) in found}) > 1


def test_an_error_of_a_helper_is_raised_here(kind: bool):
    """As if it had been raised here."""
    here = (os.getpid(), threading.get_ident())

    def work(number: int) -> int:
        time.sleep(0.01)
        if (os.getpid(), threading.get_ident()) != here:
            raise OSError(28, "No space left on device")
        return number

    with pytest.raises(OSError, match="No space left"):
        list(map_in_processes(work, 40))


def test_what_a_dead_helper_had_begun_is_done_here(monkeypatch: pytest.MonkeyPatch):
    """As after the system killed one for want of memory."""
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    here = os.getpid()

    def work(number: int) -> int:
        time.sleep(0.01)
        if os.getpid() != here and number > 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert sorted(number for number, _ in map_in_processes(work, 30)) == list(range(30))


def test_an_interruption_ends_the_helpers(kind: bool):
    """What they have not begun is left."""
    begun = multiprocessing.get_context("fork").Value("i", 0)

    def work(number: int) -> int:
        with begun.get_lock():
            begun.value += 1
        time.sleep(0.02)
        return number

    results = map_in_processes(work, 1000)
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    time.sleep(0.3)
    reached = begun.value
    time.sleep(0.2)
    assert begun.value == reached < 30


def test_helpers_end_with_a_killed_parent(tmp_path: Path):
    """No process is left behind, whatever ends this one."""
    alive = tmp_path / "alive"
    parent = multiprocessing.get_context("fork").Process(target=_parent, args=(alive,))
    parent.start()
    while not alive.exists():
        time.sleep(0.01)
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    time.sleep(0.5)
    before = alive.stat().st_size
    time.sleep(0.3)
    assert alive.stat().st_size == before


def _parent(alive: Path) -> None:
    def work(number: int) -> int:
        time.sleep(0.02)
        with alive.open("a") as file:
            file.write(".")
        return number

    os.cpu_count = lambda: 3
    for _ in map_in_processes(work, 100_000):
        time.sleep(0.001)
