"""Work that is shared among the processor's cores.

Own code: `concurrent.futures` and joblib give everything up when one process dies, and pickle the work. Threads
would read small images one after another: nearly all of that work holds Python's lock.
"""

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import Synchronized
from signal import SIG_IGN, SIGINT, signal
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    Counter = Synchronized[int]
else:
    Counter = Synchronized  # which takes a parameter from type checkers alone

Result = TypeVar("Result")
# Elsewhere a fork may hang, or there is none, and other processes take longer to start than to be of use.
FORKS = sys.platform == "linux" and hasattr(os, "fork")


def map_in_processes(work: Callable[[int], Result], count: int) -> Generator[tuple[int, Result], None, None]:
    """Yield each number below `count` with the result of `work` on it, in the order in which they are finished.

    This process works too; the others are forked from it, so that they begin at once, with all that it has in memory.
    They draw numbers from one counter. Should one of them die, its number is worked on once more here. Where processes
    are not forked, threads take their place.

    Raises:
        Exception: whatever `work` raises, here or there.
    """
    if not FORKS:
        yield from _map_in_threads(work, count)
        return
    helpers = min(os.cpu_count() or 1, count) - 1
    context = get_context("fork")
    counter: Counter = context.Value("q", 0)
    receivers: list[Connection] = []
    for _ in range(helpers):
        _start_helper(context, work, counter, count, receivers)
    missing = set(range(count))
    try:
        while (number := _drawn(counter)) < count:
            yield _took(missing, number), work(number)
            for connection in wait(receivers, timeout=0):
                yield from _received(connection, receivers, missing)
        while receivers:
            for connection in wait(receivers):
                yield from _received(connection, receivers, missing)
        for number in sorted(missing):
            yield number, work(number)
    finally:
        counter.value = count  # what is not begun yet is left
        for receiver in receivers:
            receiver.close()


def _map_in_threads(work: Callable[[int], Result], count: int) -> Iterator[tuple[int, Result]]:
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, count))) as pool:
        numbers = {pool.submit(work, number): number for number in range(count)}
        try:
            for future in as_completed(numbers):
                yield numbers.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # what is not begun yet is left


def _start_helper(
    context: Any,
    work: Callable[[int], Any],
    counter: Counter,
    count: int,
    receivers: list[Connection],
) -> None:
    """Start one helper; its results come through a new connection in `receivers`, which closes when the helper ends."""
    receiver, sender = context.Pipe(duplex=False)
    receivers.append(receiver)
    process = context.Process(target=_help, args=(work, counter, count, sender, receivers), daemon=True)
    with warnings.catch_warnings():
        # Of locks that another thread may hold at that moment: `work` takes none that this process has.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()


def _help(
    work: Callable[[int], Any],
    counter: Counter,
    count: int,
    sender: Connection,
    inherited: Sequence[Connection],
) -> None:
    signal(SIGINT, SIG_IGN)  # the first process receives the signal too, and ends the work
    for receiver in inherited:
        receiver.close()  # so that the next result finds nobody should the first process be killed
    with sender:
        while (number := _drawn(counter)) < count:
            try:
                result: Any = work(number)
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                result = error
            try:
                sender.send((number, result))
            except OSError:  # nobody waits for it any more
                return


def _drawn(counter: Counter) -> int:
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    return number


def _took(missing: set[int], number: int) -> int:
    missing.remove(number)
    return number


def _received(connection: Any, receivers: list[Connection], missing: set[int]) -> Iterator[tuple[int, Any]]:
    """Yield a helper's result; remove a helper that has ended from the list."""
    try:
        number, result = connection.recv()
    except EOFError:
        receivers.remove(connection)
        connection.close()
        return
    if isinstance(result, Exception):
        raise result
    yield _took(missing, number), result
