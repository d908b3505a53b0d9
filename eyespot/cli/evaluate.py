"""eyespot evaluate"""

from pathlib import Path
from typing import Annotated, Any

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table

MOST_COLUMNS = 30  # classes that fit beside each other in a wide terminal
MOST_MISTAKES = 10  # shown; all are in a file


def evaluate(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    on: Annotated[
        str | None, typer.Option(help="Dataset with the same classes. Default: the run's own test data.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a run's model: accuracy with its interval, classification report, confusion matrix.

    Example: eyespot evaluate runs/mnist-cnn-1
    """
    result = eyespot.evaluate(run, on)
    if as_json:
        print_json(result.to_dict())
        return
    out = console(as_json)
    low, high = result.accuracy_interval
    out.print(
        f"{result.run.path} on {result.on}: accuracy {result.accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), "
        f"loss {result.loss:.4f}; {result.correct:,} of {result.n:,} images correct, {result.incorrect:,} incorrect.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    out.print()
    print_table(out, _report(result.report, result.class_names))
    out.print()
    if len(result.class_names) <= MOST_COLUMNS:
        print_table(out, _confusion(result.confusion, result.class_names))
    else:
        out.print(
            f"The confusion matrix of {len(result.class_names)} classes is in metrics.json and drawn in a figure."
        )
    out.print()
    if result.most_confused:
        rows = [(pair["label"], pair["predict"], pair["pictures"]) for pair in result.most_confused]
        print_table(out, table(("label", "predict", "images"), rows, title="most frequent mistakes", text_columns=2))
        out.print()
    if result.mistakes_csv and result.incorrect:
        print_table(out, _mistakes(result.mistakes_csv, result.incorrect))
        out.print(f"All of them: {result.mistakes_csv}", markup=False, highlight=False, soft_wrap=True)
        out.print()
    after, before = result.calibration, result.before_calibration
    out.print(
        f"Calibration: expected calibration error {after.ece:.2%} ({before.ece:.2%} before calibration), Brier score "
        f"{after.brier:.4f} ({before.brier:.4f}), negative log-likelihood {after.nll:.4f} ({before.nll:.4f}).",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    for note in result.notes:
        out.print(note, markup=False, highlight=False, soft_wrap=True)
    for path in result.figures:
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _report(report: dict[str, Any], class_names: tuple[str, ...]) -> Any:
    """scikit-learn's classification report as a table."""
    lines = [(name, report["classes"][name]) for name in class_names]
    lines += [(name, report[name]) for name in ("macro avg", "weighted avg")]
    figures = ("precision", "recall", "f1-score")
    rows = [(name, *(f"{line[key]:.4f}" for key in figures), f"{line['support']:,.0f}") for name, line in lines]
    return table(("class", "precision", "recall", "f1-score", "support"), rows)


def _mistakes(path: Path, total: int) -> Any:
    """The most confident mistakes, by file or row."""
    from eyespot.workflow.run_data import read_mistakes

    rows = [
        (row["file"] or f"#{row['row']}", row["label"], row["prediction"], f"{float(row['probability']):.2%}")
        for row in read_mistakes(path, MOST_MISTAKES)
    ]
    title = f"most confident mistakes, {len(rows)} of {total:,}"
    return table(("image", "label", "prediction", "probability"), rows, title=title, text_columns=3)


def _confusion(confusion: list[list[int]], class_names: tuple[str, ...]) -> Any:
    """Label by row, predict by column."""
    rows = [(name, *(count or "." for count in row)) for name, row in zip(class_names, confusion, strict=True)]
    return table(("label \\ predict", *class_names), rows)
