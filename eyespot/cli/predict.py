"""eyespot predict"""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.show import AsJson, console, emit, print_table, table
from eyespot.errors import PictureError


def predict(
    run: Annotated[Path, typer.Argument(help="A run's directory.")],
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, or - for standard input.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a CSV table: file, label, probability.")] = False,
) -> None:
    """Say what pictures show: the most probable class, how probable, and the next ones.

    Example: eyespot predict runs/mnist-cnn-1 seven.png

    Pictures that cannot be read are named on standard error, the others are still answered, and the exit code is 1.
    """
    failed: list[PictureError] = []
    items = [sys.stdin.buffer.read() if picture == "-" else picture for picture in pictures]
    predictions = eyespot.predict(run, items, top, on_error=failed.append)
    if as_json:
        emit([prediction.to_dict() for prediction in predictions])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "label", "probability"))
        writer.writerows((p.file, p.label, f"{p.probability:.6f}") for p in predictions)
    elif predictions:
        rows = [
            (p.file, p.label, f"{p.probability:.2%}", "  ".join(f"{label} {share:.2%}" for label, share in p.top[1:]))
            for p in predictions
        ]
        print_table(console(as_json), table(("file", "label", "probability", "then"), rows, text_columns=2))
    if failed:
        for error in failed[:-1]:
            console(as_json=True).print(f"eyespot: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise failed[-1]
