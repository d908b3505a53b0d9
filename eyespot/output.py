"""Where words go: to the user's terminal, and to the run's log."""

from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

LOG_WIDTH = 110


class Output:
    """Prints to a console and, once it is opened, to a log file."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._log: Console | None = None

    def open_log(self, path: Path) -> None:
        """Open a log file: what is printed from now on is also written to `path`, line by line."""
        file = path.open("a", encoding="utf-8", buffering=1)
        self._log = Console(file=file, width=LOG_WIDTH, no_color=True, legacy_windows=False)

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
        for console in filter(None, (self.console, self._log)):
            console.print(thing, **options)
