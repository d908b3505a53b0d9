"""eyespot report"""

from pathlib import Path
from typing import Annotated, Literal

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json


def report(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    output: Annotated[
        Path | None,
        typer.Option(help="File to write. Default: RUN/report.html.", rich_help_panel="Output"),
    ] = None,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="Language of the page: English or Chinese.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Write a run's report: one HTML page with results, learning curves and mistakes.

    The page needs no network: images and scripts are inside the file. A model
    card (model-card.md) is written beside it.

    Example: eyespot report runs/mnist-cnn-1
    """
    result = eyespot.report(run, output, lang)
    if as_json:
        print_json(result.to_dict())
        return
    out = console(as_json)
    for line in (*result.notes, str(result.page), str(result.card)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
