"""Where words go: to the user's terminal, and to the run's log.

A verb prints by its `verbose`: 0 nothing, 1 its lines, and bars where the output is a terminal (`console_for`). They go
to standard output, or to where `printing_to` sends them: the command line keeps standard output for JSON so. In a
notebook Rich gives each line an output cell of its own; here lines go to standard output, as any other program's.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from eyespot.errors import UsageError

LOG_WIDTH = 110
PRINTING: ContextVar[Console | None] = ContextVar("printing", default=None)


@contextmanager
def printing_to(console: Console) -> Iterator[None]:
    """Within it, verbs print to this console, unless they are silent."""
    token = PRINTING.set(console)
    try:
        yield
    finally:
        PRINTING.reset(token)


def console_for(verbose: int) -> Console:
    """Return the console that a verb prints to.

    Args:
        verbose: 0 is silent, 1 prints.

    Raises:
        UsageError: it is neither.
    """
    if verbose not in (0, 1):
        raise UsageError(f"`verbose` must be 0 (silent) or 1 (progress and lines); received {verbose!r}.")
    if verbose == 0:
        # Rich takes no notice of `quiet` in a notebook.
        return Console(quiet=True, force_terminal=False, force_jupyter=False)
    return PRINTING.get() or Console()


def console_for_downloads() -> Console:
    """Return the console for bars of downloads: standard error, which is silent where a verb is."""
    console = PRINTING.get()
    return Console(stderr=True, quiet=console is not None and console.quiet)


class Output:
    """Prints to a console and, once it is opened, to a log file."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._log: Console | None = None

    def open_log(self, path: Path) -> None:
        """Open a log file: what is printed from now on is also written to `path`, line by line."""
        file = path.open("a", encoding="utf-8", buffering=1)
        self._log = Console(file=file, width=LOG_WIDTH, no_color=True, legacy_windows=False, force_jupyter=False)

    def __enter__(self) -> "Output":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._log:
            self._log.file.close()
            self._log = None

    def say(self, text: str = "") -> None:
        """Print plain text: square brackets and numbers in it mean nothing special."""
        self.show(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, thing: Any, **options: Any) -> None:
        """Print anything Rich can draw, such as a table."""
        for console in filter(None, (lines_of(self.console), self._log)):
            console.print(thing, **options)


def lines_of(console: Console) -> Console:
    """The console to print lines on: itself, or standard output where it is a notebook's."""
    return Console(force_jupyter=False, quiet=console.quiet) if console.is_jupyter else console


def no_displays() -> AbstractContextManager[Any]:
    """Within it, a notebook shows no displays: what captures Rich's output leaves an empty one behind."""
    if not Console().is_jupyter:
        return nullcontext()
    from IPython.utils.capture import capture_output

    context: AbstractContextManager[Any] = capture_output(stdout=False, stderr=False)
    return context
