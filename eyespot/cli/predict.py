"""eyespot predict"""

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import eyespot
from eyespot.cli.show import AsJson, console, emit, print_table, table
from eyespot.errors import PictureError

if TYPE_CHECKING:
    from eyespot.inference.predictor import Prediction

JUDGED = ("rejected", "strangeness", "threshold")


def predict(
    run: Annotated[Path, typer.Argument(help="A run's directory.")],
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, or - for standard input.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    reject: Annotated[bool, typer.Option("--reject", help="Answer 'none of these' where it is so.")] = False,
    reject_rate: Annotated[
        float | None, typer.Option(help="Reject as strictly as would reject this share of the validation pictures.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a CSV table: file, label, probability.")] = False,
) -> None:
    """Say what pictures show: the most probable class, how probable, and the next ones.

    Example: eyespot predict runs/mnist-cnn-1 seven.png

    With --reject, a picture that is unlike anything the model has seen is "none of these": one that is stranger than
    99 in 100 of the validation pictures, or than --reject-rate has it.

    Pictures that cannot be read are named on standard error, the others are still answered, and the exit code is 1.
    """
    failed: list[PictureError] = []
    items = [sys.stdin.buffer.read() if picture == "-" else picture for picture in pictures]
    predictions = eyespot.predict(
        run, items, top, on_error=failed.append, reject=reject if reject_rate is None else reject_rate
    )
    judged = reject or reject_rate is not None
    if as_json:
        emit([prediction.to_dict() for prediction in predictions])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "label", "probability", *(JUDGED if judged else ())))
        writer.writerows((p.file, p.label, f"{p.probability:.6f}", *_judgement(p)) for p in predictions)
    elif predictions:
        columns = ("file", "label", "probability", "then", *(JUDGED[1:] if judged else ()))
        print_table(console(as_json), table(columns, [_row(p) for p in predictions], text_columns=2))
    if failed:
        for error in failed[:-1]:
            console(as_json=True).print(f"eyespot: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise failed[-1]


def _row(p: "Prediction") -> tuple[str, ...]:
    """A line of the table; of a picture that is rejected, the probabilities are of what it would have been."""
    shares = [f"{label} {share:.2%}" for label, share in p.top]
    named = ("", "  ".join(shares)) if p.rejected else (f"{p.probability:.2%}", "  ".join(shares[1:]))
    return (p.file, p.label, *named, *_judgement(p)[1:])


def _judgement(p: "Prediction") -> tuple[str, ...]:
    """Whether it is rejected, and why; nothing unless that was asked for."""
    if p.strangeness is None or p.threshold is None:
        return ()
    return (str(p.rejected).lower(), f"{p.strangeness:.4f}", f"{p.threshold:.4f}")
