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
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Only resize pictures; do not look for the object on them.")
    ] = False,
    each: Annotated[bool, typer.Option("--each", help="Read several objects on one picture, one by one.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Draw what becomes of each picture, step by step, into RUN/predictions/.")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a CSV table: file, label, probability.")] = False,
) -> None:
    """Say what pictures show: the most probable class, how probable, and the next ones.

    Example: eyespot predict runs/mnist-cnn-1 seven.jpg

    Where the training pictures show one object each on a plain background, as MNIST's do, a photograph is brought to
    their looks first: the object is found, freed of its background, scaled and centred.

    Pictures that cannot be read are named on standard error, the others are still answered, and the exit code is 1.
    """
    failed: list[PictureError] = []
    items = [sys.stdin.buffer.read() if picture == "-" else picture for picture in pictures]
    told = console(as_json=True)

    def drawn(path: Path) -> None:
        told.print(f"Steps: {path}", markup=False, highlight=False, soft_wrap=True)

    predictions = eyespot.predict(
        run, items, top, on_error=failed.append, as_is=as_is, each=each, show=drawn if show else None
    )
    if as_json:
        emit([prediction.to_dict() for prediction in predictions])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "label", "probability"))
        writer.writerows((p.file, p.label, f"{p.probability:.6f}") for p in predictions)
    elif predictions:
        names = [p.file if p.box is None or not each else f"{p.file} at {p.box[0]}, {p.box[1]}" for p in predictions]
        rows = [
            (name, p.label, f"{p.probability:.2%}", "  ".join(f"{label} {share:.2%}" for label, share in p.top[1:]))
            for name, p in zip(names, predictions, strict=True)
        ]
        print_table(console(as_json), table(("file", "label", "probability", "then"), rows, text_columns=2))
    for note in dict.fromkeys(f"{p.file}: {p.note}" for p in predictions if p.note):
        told.print(note, markup=False, highlight=False, soft_wrap=True)
    if failed:
        for error in failed[:-1]:
            told.print(f"eyespot: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise failed[-1]
