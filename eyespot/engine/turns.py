"""Who may use a model's weights now: any number of passes that read them, or one that changes them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Condition, RLock, local


class Turns:
    """First come, first served, so that neither side waits for ever; within a turn a thread may take others."""

    def __init__(self) -> None:
        self._entry, self._left, self._readers, self._own = RLock(), Condition(), 0, local()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Beside others who read."""
        depth = self._depth()
        # Who reads already passes those who wait for it to end.
        with nullcontext() if depth else self._entry, self._left:
            self._readers += 1
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            with self._left:
                self._readers -= 1
                self._left.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Alone: whoever comes meanwhile waits."""
        with self._entry:
            with self._left:
                self._left.wait_for(lambda: self._readers == self._depth())
            yield

    def _depth(self) -> int:
        """How many turns of reading this thread is in."""
        depth: int = getattr(self._own, "depth", 0)
        return depth
