"""Work on pictures beside the event loop: in threads, and in processes that are killed when their time is over."""

import asyncio
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np

from eyespot.errors import PictureError
from eyespot.inference.pictures import ReadPicture
from eyespot.inference.predictor import cores
from eyespot.preprocessing.pipeline import Box
from eyespot.serving.decoder import Job, plain, receive, send
from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import Refusal, busy, over_limit

Result = TypeVar("Result")
HELD = 0.5  # seconds that all threads have been at the same work: not merely busy, no predictions take that long
PIXEL_BYTES = 5  # of memory for each pixel that a picture may have: all of them in colour, and once more in grey
MOST_DECODERS = 2  # processes: pictures that take more than little, read at the same time
START = "import sys; sys.path[:] = {path!r}; from eyespot.serving.decoder import main; main({memory})"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Deadline:
    """When the work on a request must be done.

    Attributes:
        at: seconds on the monotonic clock.
        seconds: that the work may take.
        decoders: processes that are killed then; None: pictures are read in this process, whatever they take.
    """

    at: float
    seconds: float
    decoders: "Decoders | None" = None

    @classmethod
    def after(cls, seconds: float, decoders: "Decoders | None" = None) -> "Deadline":
        """Return a deadline some seconds from now."""
        return cls(time.monotonic() + seconds, seconds, decoders)

    def check(self) -> None:
        """Raise the refusal once the deadline is over."""
        if time.monotonic() > self.at:
            raise self.refusal()

    def refusal(self) -> Refusal:
        """Return what is answered once the deadline is over."""
        sentence = f"The work on the request took more than {self.seconds:g} seconds"
        return over_limit(HTTPStatus.GATEWAY_TIMEOUT, "work_seconds", self.seconds, sentence)


class Workers:
    """A thread for each core. Work that took too long is no longer waited for, and counts until it ends.

    Reading a stranger's picture, which can take long, is done by `Decoders`, which are killed then.
    """

    def __init__(self, limits: ServerLimits, threads: int | None = None) -> None:
        self._limits = limits
        self._threads = threads or cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="eyespot")
        self._decoders = Decoders(PIXEL_BYTES * limits.pixels)
        self._lock = threading.Lock()
        self._pending = 0
        self._begun: dict[int, float] = {}  # when each thread's work began, by the thread

    @property
    def held(self) -> bool:
        """Whether no thread has been free for a while: requests wait for work that takes long."""
        with self._lock:
            starts = list(self._begun.values())
        return len(starts) >= self._threads and time.monotonic() - max(starts) > HELD

    async def run(self, work: Callable[[Deadline], Result]) -> Result:
        """Do a piece of work, which looks at its deadline now and then.

        Raises:
            Refusal: the work took too long, or earlier work that took too long has not ended yet.
        """
        if self._pending >= self._limits.concurrent:
            raise busy(self._limits)
        deadline = Deadline.after(self._limits.work_seconds, self._decoders)
        self._add(1)
        future = self._pool.submit(self._counted, work, deadline)
        try:
            async with asyncio.timeout(self._limits.work_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise deadline.refusal() from None
        finally:
            if future.cancelled():
                self._add(-1)

    def close(self) -> None:
        """Take no more work, and wait for none."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._decoders.close()

    def _counted(self, work: Callable[[Deadline], Result], deadline: Deadline) -> Result:
        thread = threading.get_ident()
        with self._lock:
            self._begun[thread] = time.monotonic()
        try:
            return work(deadline)
        finally:
            with self._lock:
                del self._begun[thread]
            self._add(-1)

    def _add(self, number: int) -> None:
        with self._lock:
            self._pending += number


class Decoders:
    """A few processes that read pictures, started when they are needed, and replaced where they died.

    Own code: `concurrent.futures` cannot kill one process and go on. Pebble can, but unpickles the answers, by which a
    process that a picture has taken over could run code in the server.

    Args:
        memory: bytes that reading one picture may take.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._free = threading.BoundedSemaphore(MOST_DECODERS)
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._all: set[_Decoder] = set()
        self._closed = False

    def read(self, job: Job, content: bytes, until: float) -> list[ReadPicture]:
        """Read a picture as `decoder.read` does.

        Args:
            until: when it must be done, in seconds on the monotonic clock.

        Raises:
            PictureError: the picture cannot be read, or the process that read it died of it.
            TimeoutError: the time is over; no process works on the picture any more.
        """
        if not self._free.acquire(timeout=max(0.0, until - time.monotonic())):
            raise TimeoutError
        try:
            return self._read(job, content, until)
        finally:
            self._free.release()

    def close(self) -> None:
        """End all processes at once."""
        with self._lock:
            self._closed = True
            for decoder in self._all:
                decoder.kill()  # the thread that reads from it frees it
            idle, self._idle = self._idle, []
        for decoder in idle:
            self._forget(decoder)

    def _read(self, job: Job, content: bytes, until: float) -> list[ReadPicture]:
        decoder = self._take()
        try:
            pictures = decoder.read(job, content, until)
        except _DecoderDied:
            timed_out = decoder.killed
            self._forget(decoder)
            if timed_out:
                raise TimeoutError from None
            raise PictureError(f"{job.name} ended the process that decoded it: save it anew, as PNG.") from None
        except PictureError:
            self._give_back(decoder)
            raise
        self._give_back(decoder)
        return pictures

    def _take(self) -> "_Decoder":
        with self._lock:
            if self._closed:
                raise TimeoutError
            decoder = self._idle.pop() if self._idle else _Decoder(self._memory)
            self._all.add(decoder)
            return decoder

    def _give_back(self, decoder: "_Decoder") -> None:
        with self._lock:
            alive = not decoder.killed
            if alive:
                self._idle.append(decoder)
        if not alive:
            self._forget(decoder)

    def _forget(self, decoder: "_Decoder") -> None:
        with self._lock:
            self._all.discard(decoder)
        decoder.end()


class _Decoder:
    """One process.

    Attributes:
        killed: whether it was killed.
    """

    def __init__(self, memory: int) -> None:
        self.killed = False
        self._memory = memory
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and code of ours
            [sys.executable, "-c", START.format(path=sys.path, memory=memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        )

    def read(self, job: Job, content: bytes, until: float) -> list[ReadPicture]:
        """Read as `Decoders.read`; raise _DecoderDied where the process did."""
        jobs, answers = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        with _at(until, self.kill):
            try:
                send(jobs, plain(job), [content])
                values, pixels = receive(answers, self._memory)
            except (OSError, EOFError, ValueError):
                raise _DecoderDied from None
        if "error" in values:
            raise PictureError(values["error"])
        return _pictures(job.name, values["pictures"], pixels)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.killed = True
        self._process.kill()

    def end(self) -> None:
        """Kill the process, and free what it held."""
        self.kill()
        with suppress(OSError), self._process:  # closes the pipes, of which one may be broken, and waits
            pass


@contextmanager
def _at(until: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something at a time on the monotonic clock, unless the block ends before."""
    timer = threading.Timer(max(0.0, until - time.monotonic()), act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class _DecoderDied(Exception):  # noqa: N818 - a finding
    """The process has ended, or its answer makes no sense."""


def _pictures(name: str, values: list[dict[str, Any]], pixels: bytes) -> list[ReadPicture]:
    """Return the pictures of an answer.

    Raises:
        _DecoderDied: it is no answer: its sender is no longer the process that was started.
    """
    try:
        sizes = [math.prod(value["shape"]) for value in values]
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        images = [
            np.frombuffer(pixels, np.uint8, size, start).reshape(value["shape"])
            for value, size, start in zip(values, sizes, starts, strict=True)
        ]
        boxes: list[Box | None] = [None if value["box"] is None else _box(*value["box"]) for value in values]
        notes = [value["note"] for value in values]
        return [ReadPicture(name, *parts) for parts in zip(images, boxes, notes, strict=True)]
    except (KeyError, TypeError, ValueError):
        raise _DecoderDied from None


def _box(left: int, top: int, right: int, bottom: int) -> Box:
    return left, top, right, bottom
