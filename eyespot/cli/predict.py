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
    run: Annotated[Path, typer.Argument(help="A run's directory.")],
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, or - for standard input.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    reject: Annotated[bool, typer.Option("--reject", help="Answer 'none of these' where it is so.")] = False,
    reject_rate: Annotated[
        float | None, typer.Option(help="Reject as strictly as would reject this share of the validation pictures.")
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Only resize pictures; do not look for the object on them.")
    ] = False,
    each: Annotated[bool, typer.Option("--each", help="Read several objects on one picture, one by one.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Draw what becomes of each picture, step by step, into RUN/predictions/.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a CSV table: file, label, probability.")] = False,
) -> None:
    """Say what pictures show: the most probable class, how probable, and the next ones.

    Example: eyespot predict runs/mnist-cnn-1 seven.jpg

    Where the training pictures show one object each on a plain background, as MNIST's do, a photograph is brought to
    their looks first: the object is found, freed of its background, scaled and centred.

    With --reject, a picture that is unlike anything the model has seen is "none of these": one that is stranger than
    99 in 100 of the validation pictures, or than --reject-rate has it.

    Pictures that cannot be read are named on standard error, the others are still answered, and the exit code is 1.
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
    """Left, top, right and bottom of what was read; nothing for the whole picture."""
    return tuple(map(str, p.box)) if p.box else ("",) * 4


def _judgement(p: "Prediction") -> tuple[str, ...]:
    """Whether it is rejected, and why; nothing unless that was asked for."""
    if p.strangeness is None or p.threshold is None:
        return ()
    return (str(p.rejected).lower(), f"{p.strangeness:.4f}", f"{p.threshold:.4f}")


def _row(p: "Prediction", *, each: bool) -> tuple[str, ...]:
    """A line of the table; of a picture that is rejected, the probabilities are of what it would have been."""
    shares = [f"{label} {share:.2%}" for label, share in p.top]
    shown_shares = ("", "  ".join(shares)) if p.rejected else (f"{p.probability:.2%}", "  ".join(shares[1:]))
    position = (f"{p.box[0]}, {p.box[1]}" if p.box else "",) if each else ()
    return (p.file, *position, p.label, *shown_shares, *_judgement(p)[1:])
