"""The terminal or notebook during a training: a live line or plain lines, and Ctrl-C, which ends it after the step."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn

from eyespot.progress_bars import progress_bars
from eyespot.training.fit import StepProgress
from eyespot.training.history import EpochFigures

PLAIN_SECONDS = 30.0


class Interrupt:
    """While entered, the first SIGINT or SIGTERM sets a flag; a second one stops at once, as usual.

    Attributes:
        signal: which one came first.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __call__(self) -> bool:
        """Whether the user has asked to stop."""
        return self.signal is not None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            # A handler that is None was set from C; Python could not put it back.
            numbers = [number for number in self.SIGNALS if signal.getsignal(number) is not None]
            self._previous = {number: signal.signal(number, self._request) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _request(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


class ProgressDisplay:
    """One line an epoch; within it a bar on a terminal or in a notebook, and elsewhere a line every half minute.

    Attributes:
        console: where the bar is drawn.
        say: takes each line.

    Args:
        before: epochs that were done earlier, and the share of the one under way.
    """

    def __init__(self, console: Console, say: Callable[[str], None], epochs: int, before: float = 0.0) -> None:
        self.console = console
        self.say = say
        self.epochs, self.before = epochs, before
        self.started = self.spoken = time.perf_counter()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))
        self.bar = progress_bars(*columns, console=console)
        self.task = self.bar.add_task("starting", total=None, figures="")

    def __enter__(self) -> "ProgressDisplay":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def on_step(self, step: StepProgress) -> None:
        """Moves the bar."""
        time_left = duration(self._seconds_left(step.epoch - 1 + step.step / step.steps))
        figures = (
            f"batch {step.step}/{step.steps}  loss {step.loss:.4f}  accuracy {step.accuracy:.4f}  "
            f"{step.images_per_second:,.0f} images/s  {time_left} left"
        )
        description = f"epoch {step.epoch}/{step.epochs}"
        self.bar.update(self.task, description=description, completed=step.step, total=step.steps, figures=figures)
        now = time.perf_counter()
        if not (self.console.is_terminal or self.console.is_jupyter) and now - self.spoken > PLAIN_SECONDS:
            self.spoken = now
            self.say(f"{description}  {figures}")

    def on_epoch(self, row: EpochFigures) -> None:
        """Prints the epoch's line."""
        self.spoken = time.perf_counter()
        time_left = duration(self._seconds_left(row["epoch"]))
        self.say(f"{epoch_line(row, self.epochs)}  {time_left} left")

    def _seconds_left(self, epochs_done: float) -> float:
        return (time.perf_counter() - self.started) / (epochs_done - self.before) * (self.epochs - epochs_done)


def duration(seconds: float) -> str:
    """A length of time as people say it: 45 s, 3 min 20 s, 2 h 5 min."""
    total = round(seconds)
    if total < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{total} s"
    minutes, remainder = divmod(total, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60} h {minutes % 60} min"


def epoch_line(row: EpochFigures, epochs: int) -> str:
    """An epoch's figures on one line."""
    names = [name for name in ("loss", "accuracy", "val_loss", "val_accuracy") if name in row]
    figures = "  ".join(f"{name} {row[name]:.4f}" for name in names)
    speed = f"{row['images_per_second']:,.0f} images/s"
    width = len(str(epochs))
    return f"epoch {int(row['epoch']):{width}}/{epochs}  {figures}  {speed}  {row['seconds']:.1f} s"
