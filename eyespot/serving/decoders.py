"""Decoders: processes that read strangers' pictures, each killed when its time is over."""

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import numpy as np

from eyespot.errors import PictureError
from eyespot.inference.pictures import ReadPicture
from eyespot.preprocessing.pipeline import Box
from eyespot.serving.decoder import Job, plain, receive, send

MOST = 2  # processes: pictures that take more than little, read at the same time
START = "import sys; sys.path[:] = {path!r}; from eyespot.serving.decoder import main; main({memory})"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class _Died(Exception):  # noqa: N818 - a finding
    """The process has ended, or says what makes no sense."""


class Decoders:
    """A few processes, started when they are needed, and replaced where they died.

    Args:
        memory: bytes that reading one picture may take.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._free = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._all: set[_Decoder] = set()
        self._closed = False

    def read(self, job: Job, content: bytes, until: float) -> list[ReadPicture]:
        """Reads a picture as `decoder.read` does.

        Args:
            until: when it must be done, on the monotonic clock.

        Raises:
            PictureError: it cannot be read, or what read it died of it.
            TimeoutError: the time is over; nothing works on it any more.
        """
        if not self._free.acquire(timeout=max(0.0, until - time.monotonic())):
            raise TimeoutError
        try:
            return self._read(job, content, until)
        finally:
            self._free.release()

    def close(self) -> None:
        """Ends all of them at once."""
        with self._lock:
            self._closed = True
            for decoder in self._all:
                decoder.kill()  # who reads from it frees it
            idle, self._idle = self._idle, []
        for decoder in idle:
            self._forget(decoder)

    def _read(self, job: Job, content: bytes, until: float) -> list[ReadPicture]:
        decoder = self._taken()
        try:
            found = decoder.read(job, content, until)
        except _Died:
            late = decoder.killed
            self._forget(decoder)
            if late:
                raise TimeoutError from None
            raise PictureError(f"{job.name} ended the process that decoded it: save it anew, as PNG.") from None
        except PictureError:
            self._give_back(decoder)
            raise
        self._give_back(decoder)
        return found

    def _taken(self) -> "_Decoder":
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
        killed: it has been told to end.
    """

    def __init__(self, memory: int) -> None:
        self.killed = False
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and code of ours
            [sys.executable, "-c", START.format(path=sys.path, memory=memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        )

    def read(self, job: Job, content: bytes, until: float) -> list[ReadPicture]:
        """As `Decoders.read`; raises _Died where the process did."""
        given, answers = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        with _at(until, self.kill):
            try:
                send(given, plain(job), [content])
                values, pixels = receive(answers)
            except (OSError, EOFError, ValueError):
                raise _Died from None
        if "error" in values:
            raise PictureError(values["error"])
        return _pictures(job.name, values["found"], pixels)

    def kill(self) -> None:
        """Ends the process, whatever it is at."""
        self.killed = True
        self._process.kill()

    def end(self) -> None:
        """Kills it, and frees what it held."""
        self.kill()
        with suppress(OSError), self._process:  # closes the pipes, of which one may be broken, and waits
            pass


@contextmanager
def _at(until: float, act: Callable[[], None]) -> Iterator[None]:
    """Does something at a time on the monotonic clock, unless what is inside ends before."""
    timer = threading.Timer(max(0.0, until - time.monotonic()), act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _box(left: int, top: int, right: int, bottom: int) -> Box:
    return left, top, right, bottom


def _pictures(name: str, found: list[dict[str, Any]], pixels: bytes) -> list[ReadPicture]:
    """The pictures of an answer.

    Raises:
        _Died: it is none: whoever sends it is no longer what was started.
    """
    try:
        ends = [math.prod(one["shape"]) for one in found]
        starts = [sum(ends[:place]) for place in range(len(ends))]
        images = [
            np.frombuffer(pixels, np.uint8, count, start).reshape(one["shape"])
            for one, count, start in zip(found, ends, starts, strict=True)
        ]
        boxes: list[Box | None] = [None if one["box"] is None else _box(*one["box"]) for one in found]
        return [ReadPicture(name, *each) for each in zip(images, boxes, [one["note"] for one in found], strict=True)]
    except (KeyError, TypeError, ValueError):
        raise _Died from None
