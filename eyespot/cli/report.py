"""eyespot report"""

from pathlib import Path
from typing import Annotated, Literal

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json


def report(
    run: Annotated[Path, typer.Argument(help="A run's directory.")],
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; by default report.html in the run.", rich_help_panel="Output"),
    ] = None,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="English or Chinese.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Write one page that says how good a run's classifier is, how sure that is, and what it gets wrong.

    The page is one file that opens from disk, without a network. Beside it goes a model card.

    Example: eyespot report runs/mnist-cnn-1
    """
    result = eyespot.report(run, output, lang)
    if as_json:
        print_json(result.to_dict())
        return
    out = console(as_json)
    for line in (*result.notes, str(result.page), str(result.card)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
