"""A study's table and its page."""

from collections.abc import Sequence

from eyespot.studies.comparison import Compared, Spread
from eyespot.studies.pages import table

COLUMNS = (
    "variant", "val_accuracy", "95 % interval", "val_loss", "difference", "95 % interval", "p (Holm)", "parameters",
    "s/epoch",
)  # fmt: skip
BY = "Written by `eyespot study`. The runs are in the directories beside this page."
READ = """\
Means over the repeats, with the 95 % interval of the mean (Student's t; with one repeat there is none). Repeats differ
in the seed alone, and with it in the initial weights, the order and the validation pictures, where these are drawn;
every variant has the same seeds. *Difference*: validation accuracy minus the base's, in points, seed by seed, with its
own 95 % interval (paired t-test); *p*: of that test, adjusted over all variants (Holm), so that below 0.05 may be
called a difference. Each run is measured at the epoch that it keeps, which validation data chose: all variants gain by
that."""
ON_TEST = """\
For the record. Nothing above rests on these, and nothing should be chosen by them: who picks the variant that is best
on test data has no test data left."""


def cells(row: Compared) -> tuple[str, ...]:
    """A variant's row."""
    accuracy, loss, difference = row.spreads["val_accuracy"], row.spreads["val_loss"], row.difference
    interval = ends(difference.low, difference.high, 100, "+.2f") if difference else ""
    return (
        row.name,
        _mean(accuracy, 100, ".2f", " %"),
        ends(accuracy.low, accuracy.high, 100, ".2f") if accuracy else "",
        _mean(loss, 1, ".4f"),
        f"{difference.mean * 100:+.2f}" if difference else "",
        interval,
        f"{difference.p_value:.3f}" if difference and difference.p_value is not None else "",
        f"{row.measured.parameters:,}",
        f"{row.seconds:.2f}" if row.seconds is not None else "-",
    )


def ends(low: float | None, high: float | None, scale: float, form: str) -> str:
    """An interval as people read it; empty where there is none."""
    return "" if low is None or high is None else f"{low * scale:{form}} to {high * scale:{form}}"


def page(title: str, circumstances: str, rows: Sequence[Compared], told: Sequence[str], notes: Sequence[str]) -> str:
    """A study: what it found, its table and figure, what each variant changes, the figures on test data.

    Args:
        circumstances: date, machine, versions.
        told: what the validation data says, a sentence each.
        notes: what the reader should know besides.
    """
    parts = [f"# {title}", circumstances, BY, "## What matters", "\n".join(f"- {sentence}" for sentence in told)]
    parts += ["\n".join(notes), table(COLUMNS, map(cells, rows)), READ, "![accuracy by variant](accuracy.png)"]
    changed = [(row.name, ", ".join(f"{key}: {value}" for key, value in row.measured.settings.items())) for row in rows]
    parts += ["## What differs", table(("variant", "differs in"), changed)]
    tested = [row for row in rows if row.spreads["test_accuracy"]]
    if tested:
        parts += [
            "## On test data",
            ON_TEST,
            table(("variant", "test_accuracy", "range", "test_loss"), map(_test, tested)),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _test(row: Compared) -> tuple[str, ...]:
    accuracy, loss = row.spreads["test_accuracy"], row.spreads["test_loss"]
    spread = ends(accuracy.least, accuracy.most, 100, ".2f") if accuracy and accuracy.least != accuracy.most else ""
    return row.name, _mean(accuracy, 100, ".2f", " %"), spread, _mean(loss, 1, ".4f")


def _mean(spread: Spread | None, scale: float, form: str, unit: str = "") -> str:
    return f"{spread.mean * scale:{form}}{unit}" if spread else "-"
