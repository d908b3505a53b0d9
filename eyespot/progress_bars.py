"""Bars of progress, on a terminal or in a notebook.

Rich shows progress in a notebook by ipywidgets alone. Here it is one display of IPython that is updated in place.
"""

import html
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID

REDRAWN = 0.2  # seconds at least between two updates of a notebook's display


def progress_bars(*columns: str | ProgressColumn, console: Console) -> Progress:
    """Return bars that go when they are done: on a terminal Rich's, in a notebook one display, elsewhere none.

    Args:
        columns: as of Rich's `Progress`.
        console: where they are drawn.
    """
    if console.is_jupyter:
        return NotebookProgress(*columns, console=console, disable=console.quiet)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


class NotebookProgress(Progress):
    """Progress in a notebook: a display that is updated in place, and is empty in the end.

    What moves the bars draws them: no thread does, and nothing is redirected.
    """

    def __init__(self, *columns: str | ProgressColumn, console: Console, disable: bool) -> None:
        super().__init__(*columns, console=console, disable=True)
        self._is_shown, self._drawn = not disable, 0.0
        self._display: Any = None  # IPython's handle of it

    def start(self) -> None:
        """Begin the display."""
        if self._is_shown and self._display is None:
            from IPython.display import HTML, display

            self._display = display(HTML(self._html()), display_id=True)
            self._drawn = time.perf_counter()

    def stop(self) -> None:
        """Empty the display."""
        if self._display is not None:
            from IPython.display import HTML

            self._display.update(HTML(""))
            self._display = None

    def update(self, task_id: TaskID, **values: Any) -> None:
        """As Rich does; the display follows."""
        super().update(task_id, **values)
        self._draw()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """As Rich does; the display follows."""
        super().advance(task_id, advance)
        self._draw()

    def _draw(self) -> None:
        now = time.perf_counter()
        if self._display is not None and now - self._drawn >= REDRAWN:
            from IPython.display import HTML

            self._display.update(HTML(self._html()))
            self._drawn = now

    def _html(self) -> str:
        return "".join(f"<div>{self._line(task)}</div>" for task in self.tasks)

    def _line(self, task: Task) -> str:
        return " &nbsp;".join(
            _bar(task) if isinstance(column, BarColumn) else html.escape(self._text(column, task))
            for column in self.columns
        )

    @staticmethod
    def _text(column: str | ProgressColumn, task: Task) -> str:
        return column.format(task=task) if isinstance(column, str) else getattr(column(task), "plain", "")


def _bar(task: Task) -> str:
    """A bar of the browser's; it wanders to and fro where no end is known."""
    value = "" if task.total is None else f" value='{task.percentage:.1f}' max='100'"
    return f"<progress{value}></progress>"
