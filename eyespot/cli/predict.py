"""eyespot predict"""

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table
from eyespot.errors import PictureError, UsageError

if TYPE_CHECKING:
    from eyespot.inference.predictor import Prediction

PLACE = ("left", "top", "right", "bottom")
JUDGED = ("rejected", "strangeness", "threshold")


def predict(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    pictures: Annotated[list[str], typer.Argument(help="Images, folders of images, or - for standard input.")],
    top: Annotated[int, typer.Option(min=1, help="Number of most probable classes to print.")] = 3,
    reject: Annotated[
        bool, typer.Option("--reject", help="Predict 'none of these' for an image that is out of distribution.")
    ] = False,
    reject_rate: Annotated[
        float | None,
        typer.Option(help="Share of the validation images to reject, from 0 to 1; includes --reject. Default: 0.01."),
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Only resize images, without looking for the object in them.")
    ] = False,
    each: Annotated[bool, typer.Option("--each", help="Predict every object in an image, in reading order.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Draw the preprocessing steps of each image into RUN/predictions/.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a CSV table: file, label, probability.", rich_help_panel="Output")
    ] = False,
) -> None:
    """Predict the classes of images, with their probabilities.

    Example: eyespot predict runs/mnist-cnn-1 seven.jpg

    If the training images show one object each on a plain background, as those
    of MNIST do, a photograph is first made like them: the object is found,
    separated from its background, scaled and centred.

    Exit codes: 0 all images were predicted; 1 some could not be read, and
    standard error names them.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv cannot both be printed: leave one of them out.")
    failed: list[PictureError] = []
    items = [sys.stdin.buffer.read() if picture == "-" else picture for picture in pictures]
    judged = reject or reject_rate is not None
    predictions = eyespot.predict(
        run,
        items,
        top,
        on_error=failed.append,
        reject=reject if reject_rate is None else reject_rate,
        as_is=as_is,
        each=each,
        show=(lambda path: _note(f"Steps: {path}")) if show else None,
    )
    if as_json:
        print_json([prediction.to_dict() for prediction in predictions])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "label", "probability", *(PLACE if each else ()), *(JUDGED if judged else ())))
        writer.writerows(
            (p.file, p.label, f"{p.probability:.6f}", *(_place(p) if each else ()), *_judgement(p)) for p in predictions
        )
    elif predictions:
        position, judgement = ("left, top",) if each else (), JUDGED[1:] if judged else ()
        columns = ("file", *position, "label", "probability", "then", *judgement)
        rows = [_row(p, each=each) for p in predictions]
        print_table(console(as_json), table(columns, rows, text_columns=3 if each else 2))
    for note in dict.fromkeys(f"{p.file}: {p.note}" for p in predictions if p.note):
        _note(note)
    if failed:
        for error in failed[:-1]:
            _note(f"eyespot: {error}", style="red")
        raise failed[-1]


def _note(text: str, style: str | None = None) -> None:
    """On standard error, that JSON and CSV stay what they are."""
    console(as_json=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _place(p: "Prediction") -> tuple[str, ...]:
    """Left, top, right and bottom of what was read; nothing for the whole image."""
    return tuple(map(str, p.box)) if p.box else ("",) * 4


def _judgement(p: "Prediction") -> tuple[str, ...]:
    """Whether it is rejected, and why; nothing unless that was asked for."""
    if p.strangeness is None or p.threshold is None:
        return ()
    return (str(p.rejected).lower(), f"{p.strangeness:.4f}", f"{p.threshold:.4f}")


def _row(p: "Prediction", *, each: bool) -> tuple[str, ...]:
    """A line of the table; of an image that is rejected, the probabilities are of what it would have been."""
    shares = [f"{label} {share:.2%}" for label, share in p.top]
    shown_shares = ("", "  ".join(shares)) if p.rejected else (f"{p.probability:.2%}", "  ".join(shares[1:]))
    position = (f"{p.box[0]}, {p.box[1]}" if p.box else "",) if each else ()
    return (p.file, *position, p.label, *shown_shares, *_judgement(p)[1:])
