"""What the commands print: tables for people, one line of JSON for machines."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from eyespot.cli.flags import SpeakingConsole

JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as one line of JSON; messages go to standard error.", rich_help_panel="Output"
    ),
]


def console(as_json: bool) -> Console:
    """Where words for people go."""
    return SpeakingConsole(stderr=as_json)


def print_table(out: Console, drawn: Table) -> None:
    """Prints a table as wide as it is: rather wrapped by the terminal than cut."""
    unlimited = Console(file=out.file, force_terminal=out.is_terminal, width=10_000)
    width = Measurement.get(unlimited, unlimited.options, drawn).maximum
    Console(file=out.file, force_terminal=out.is_terminal, width=width).print(drawn)


def print_json(values: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None, text_columns: int = 1
) -> Table:
    """A plain table: the first `text_columns` columns to the left, figures to the right."""
    # Text, not str: class names may hold square brackets, which Rich would take for markup.
    grid = Table(title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        alignment: Literal["left", "right"] = "left" if index < text_columns else "right"
        grid.add_column(Text(column, style="bold"), justify=alignment, no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    return grid
