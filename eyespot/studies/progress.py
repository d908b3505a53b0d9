"""How far a study is, over all its trainings."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn

from eyespot.output import lines_of
from eyespot.progress_bars import progress_bars
from eyespot.training.console import duration
from eyespot.training.fit import StepProgress
from eyespot.training.history import EpochFigures


class StudyProgress:
    """A bar over the whole study on a terminal or in a notebook, and a line when a training has ended.

    Args:
        cost: of all trainings, in any unit.
    """

    def __init__(self, console: Console, cost: float) -> None:
        self.console, self.cost = console, cost
        self.done = self.worked = self.left_out = 0.0
        self.started = time.perf_counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %, {task.fields[left]}"),
        )
        self._bar = progress_bars(*columns, console=console)
        self._task: TaskID = self._bar.add_task("", total=cost, left="")

    def __enter__(self) -> "StudyProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def experiment(self, label: str, cost: float) -> "ObservedTraining":
        """An observer of the next training, which takes that share of the cost."""
        return ObservedTraining(self, label, cost)

    def show(self, label: str, within: float) -> None:
        """Draws the bar anew.

        Args:
            within: what the training under way has done of its cost.
        """
        worked = self.worked + within
        left = (self.cost - self.done - within) * (time.perf_counter() - self.started) / worked if worked else None
        remaining = f"{duration(left)} left" if left is not None else ""
        self._bar.update(self._task, completed=self.done + within, description=label, left=remaining)


class ObservedTraining:
    """Observes one training of the study."""

    def __init__(self, study: StudyProgress, label: str, cost: float) -> None:
        self.study, self.label, self.cost = study, label, cost
        self.trains, self.started = False, time.perf_counter()

    def on_step(self, step: StepProgress) -> None:
        """Moves the bar."""
        self.trains = True
        share = (step.epoch - 1 + step.step / step.steps) / step.epochs
        self.study.show(f"{self.label}, epoch {step.epoch} of {step.epochs}", share * self.cost)

    def on_epoch(self, row: EpochFigures) -> None:
        """An epoch's figures are in its run."""

    def finish(self) -> None:
        """The training has ended, or had been done before."""
        self.study.done += self.cost
        self.study.worked += self.cost if self.trains else 0
        seconds = time.perf_counter() - self.started
        status = f"trained in {duration(seconds)}" if self.trains else "done before"
        self.study.show("", 0)
        lines_of(self.study.console).print(f"{self.label}: {status}", highlight=False, markup=False)
