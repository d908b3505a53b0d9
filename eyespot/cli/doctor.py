"""eyespot doctor"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def doctor(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    as_json: JsonOption = False,
) -> None:
    """Show what executes a run's model on this machine, layer by layer, and why.

    Example: eyespot doctor runs/mnist-cnn-1
    """
    report = eyespot.doctor(run)
    if as_json:
        print_json(report.to_dict())
        return
    out = console(as_json)
    rows = [(part.layer, part.how, f"{part.parameters:,}" if part.parameters else "") for part in report.parts]
    print_table(out, table(("layer", "runs as", "parameters"), rows, title=str(report.run.path), text_columns=2))
    out.print()
    for line in report.sentences():
        out.print(line, markup=False, highlight=False, soft_wrap=True)
