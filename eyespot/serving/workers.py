"""Work on pictures, in threads beside the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from eyespot.inference.predictor import cores
from eyespot.serving.decoders import Decoders
from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import Refusal, over_limit
from eyespot.serving.reading import Deadline

Result = TypeVar("Result")
RETRY = {"retry-after": "1"}  # seconds
HELD = 0.5  # seconds that all threads have been at the same work: not merely busy, no predictions take that long
PIXEL_BYTES = 5  # of memory for each pixel that a picture may have: all of them in colour, and once more in grey


class Workers:
    """A thread for each core. Work that took too long is no longer waited for, and still counts until it ends.

    What can take long, reading a stranger's picture, is done by processes that are killed then.
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
        """Whether no thread is free, nor has been for a while: requests wait for work that takes long."""
        with self._lock:
            begun = list(self._begun.values())
        return len(begun) >= self._threads and time.monotonic() - max(begun) > HELD

    async def run(self, work: Callable[[Deadline], Result]) -> Result:
        """Does a piece of work, which looks at its deadline now and then.

        Raises:
            Refusal: it took too long, or what took too long before it has not ended yet.
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
        """Takes no more work, and waits for none."""
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


def busy(
    limits: ServerLimits, name: str = "concurrent", sentence: str = "The server works on as many requests as it takes"
) -> Refusal:
    """The refusal of more at a time than is taken: which limit it is, and what exceeds it."""
    return over_limit(HTTPStatus.SERVICE_UNAVAILABLE, name, getattr(limits, name), f"{sentence} at a time", RETRY)
