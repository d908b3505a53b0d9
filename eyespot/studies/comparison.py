"""Variants beside their base, over repeats that share their seeds: which differences are beyond chance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from eyespot.evaluation.statistics import SIGNIFICANT, holm, mean_interval, paired_over_seeds
from eyespot.recipe.changes import describe_settings
from eyespot.studies.pages import markdown_table

SMALLEST_P = 0.001  # smaller p-values are shown as a limit
FIGURES = ("val_accuracy", "val_loss", "test_accuracy", "test_loss")
COLUMNS = (
    "variant", "val_accuracy", "95 % interval", "val_loss", "difference", "95 % interval", "p (Holm)", "parameters",
    "s/epoch",
)  # fmt: skip
BY = "Written by `eyespot study`. The runs are in the directories beside this page."
READ = """\
Means over the repeats, with the 95 % interval of the mean (Student's t; with one repeat there is none). Repeats differ
in the seed alone, and with it in the initial weights, the order and the validation images, where these are drawn;
every variant has the same seeds. *Difference*: validation accuracy minus the base's, in points, seed by seed, with its
own 95 % interval (paired t-test); *p*: of that test, adjusted over all variants (Holm), so that below 0.05 may be
called a difference. Each run is measured at the epoch that it keeps, which validation data chose: all variants gain by
that."""
ON_TEST = """\
For the record. Nothing above rests on these, and nothing should be chosen by them: who picks the variant that is best
on test data has no test data left."""


@dataclass(frozen=True)
class VariantMeasurements:
    """Measurements of one variant's repeats, seed by seed.

    Attributes:
        figures: `val_accuracy`, `val_loss`, `test_accuracy`, `test_loss`, a value a repeat; None where it has none,
            because it diverged or there is no such data.
        seconds: an epoch, the median of each repeat.
        diverged: how many repeats ended because the loss was no number.
    """

    name: str
    settings: Mapping[str, Any]
    parameters: int
    figures: Mapping[str, Sequence[float | None]]
    seconds: Sequence[float]
    diverged: int = 0

    def values(self, figure: str) -> list[float]:
        """A figure's values, of the repeats that have it."""
        return [value for value in self.figures[figure] if value is not None]


@dataclass(frozen=True)
class RepeatSpread:
    """A figure over the repeats.

    Attributes:
        low, high: the 95 % interval of the mean (Student's t); None with one repeat.
        least, most: of the repeats.
    """

    mean: float
    low: float | None
    high: float | None
    least: float
    most: float


@dataclass(frozen=True)
class Difference:
    """Difference of validation accuracy to the base, with the same seeds.

    Attributes:
        mean: variant minus base, a fraction.
        low, high: its own 95 % interval, of the paired t-test; None without a test.
        p_value: adjusted over all variants that were tested (Holm); None without a test.
        why: there is no test; empty where there is one.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    why: str = ""

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p-value is below 0.05."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class VariantComparison:
    """One row of a study's table.

    Attributes:
        difference: None for the base, and where there is nothing to compare.
    """

    measured: VariantMeasurements
    spreads: Mapping[str, RepeatSpread | None]
    difference: Difference | None

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.measured.name

    @property
    def repeats(self) -> int:
        """Number of trainings that the row rests on."""
        return len(self.measured.figures["val_accuracy"])

    @property
    def seconds(self) -> float | None:
        """An epoch, the median over the repeats."""
        return median(self.measured.seconds) if self.measured.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **asdict(self.measured),
            "seconds_per_epoch": self.seconds,
            "spread": {name: asdict(spread) if spread else None for name, spread in self.spreads.items()},
            "difference": asdict(self.difference) if self.difference else None,
        }


def compare_variants(base: VariantMeasurements, variants: Sequence[VariantMeasurements]) -> list[VariantComparison]:
    """The base and its variants, each variant's validation accuracy tested against the base's, seed by seed.

    Args:
        variants: with repeats of the same seeds as the base's, in the same order.
    """
    differences = [_difference(base, variant) for variant in variants]
    tested_indices = [
        index for index, difference in enumerate(differences) if difference and difference.p_value is not None
    ]
    adjusted = dict(zip(tested_indices, holm([_p(differences[index]) for index in tested_indices]), strict=True))
    rows = [VariantComparison(base, _spreads(base), None)]
    for index, (variant, difference) in enumerate(zip(variants, differences, strict=True)):
        corrected = (
            Difference(difference.mean, difference.low, difference.high, adjusted[index])
            if difference and index in adjusted
            else difference
        )
        rows.append(VariantComparison(variant, _spreads(variant), corrected))
    return rows


def _difference(base: VariantMeasurements, variant: VariantMeasurements) -> Difference | None:
    pairs = zip(base.figures["val_accuracy"], variant.figures["val_accuracy"], strict=True)
    complete = [(first, second) for first, second in pairs if first is not None and second is not None]
    if not complete:
        return None
    first, second = [pair[0] for pair in complete], [pair[1] for pair in complete]
    mean = fmean(second) - fmean(first)
    if base.diverged or variant.diverged:
        return Difference(mean, why="some of its repeats, or of the base's, diverged")
    if len(complete) == 1:
        return Difference(mean, why="one repeat")
    if mean and np.allclose(np.subtract(second, first), mean, rtol=0, atol=1e-12):
        # With few images equal differences happen by chance; a t-test would take them for certainty.
        return Difference(
            mean, why=f"it is the same in all {len(complete)} repeats, which leaves no spread to judge by"
        )
    test = paired_over_seeds(first, second)
    return Difference(test.mean, test.low, test.high, test.p_value)


def _p(difference: Difference | None) -> float:
    return 1.0 if difference is None or difference.p_value is None else difference.p_value


def _spreads(measured: VariantMeasurements) -> dict[str, RepeatSpread | None]:
    return {figure: _spread(measured.values(figure), figure.endswith("accuracy")) for figure in FIGURES}


def _spread(values: Sequence[float], is_fraction: bool) -> RepeatSpread | None:
    if not values:
        return None
    mean, lowest, highest = fmean(values), min(values), max(values)
    if len(values) == 1:
        return RepeatSpread(mean, None, None, lowest, highest)
    low, high = mean_interval(values)
    return RepeatSpread(mean, max(low, 0.0), min(high, 1.0) if is_fraction else high, lowest, highest)


def sentences(rows: Sequence[VariantComparison]) -> list[str]:
    """Sentences on each variant by the validation data: first what made a difference, then what showed none."""
    base, *variants = rows
    judged = [row for row in variants if row.difference]
    significant = sorted((row for row in judged if _of(row).is_significant), key=lambda row: -abs(_of(row).mean))
    unclear = [row for row in judged if not _of(row).is_significant and _of(row).p_value is not None]
    lines = [f"{row.name} {_effect(_of(row))}." for row in significant]
    if unclear:
        verb = f"made no difference that {base.repeats} repeats could show"
        lines += [f"{row.name} {verb} ({_numbers(_of(row))})." for row in unclear]
    if judged and base.repeats == 1:
        lines.append("One repeat cannot tell a difference from chance: repeat each training (`repeats=5`).")
    untested = [row for row in judged if _of(row).why and base.repeats > 1]
    lines += [f"{row.name}: {_signed(_of(row).mean)} points, not tested: {_of(row).why}." for row in untested]
    lines += [
        f"{row.name} diverged in {row.measured.diverged} of {row.repeats} repeats."
        for row in rows
        if row.measured.diverged
    ]
    return lines


def _of(row: VariantComparison) -> Difference:
    return row.difference or Difference(0.0)


def _effect(difference: Difference) -> str:
    """A difference that was found: how large, and between which ends."""
    ends = sorted(abs(end) * 100 for end in (difference.low, difference.high) if end is not None)
    verb = "gains" if difference.mean > 0 else "costs"
    size = f"{abs(difference.mean) * 100:.2f} points"
    return f"{verb} {size} (95 % interval {' to '.join(f'{end:.2f}' for end in ends)}, {_p_text(difference)})"


def _p_text(difference: Difference) -> str:
    p = _p(difference)
    return f"p = {p:.2g}" if p >= SMALLEST_P else f"p < {SMALLEST_P:g}"


def _numbers(difference: Difference) -> str:
    ends = " to ".join(_signed(end) for end in (difference.low, difference.high) if end is not None)
    return f"{_signed(difference.mean)} points, 95 % interval {ends}, {_p_text(difference)}"


def _signed(fraction: float) -> str:
    return f"{fraction * 100:+.2f}"


def study_page(
    title: str, circumstances: str, rows: Sequence[VariantComparison], sentences: Sequence[str], notes: Sequence[str]
) -> str:
    """A study: what it found, its table and figure, what each variant changes, the figures on test data.

    Args:
        circumstances: date, machine, versions.
        sentences: what the validation data says, a sentence each.
        notes: what the reader should know besides.
    """
    parts = [f"# {title}", circumstances, BY, "## What matters", "\n".join(f"- {sentence}" for sentence in sentences)]
    parts += [
        "\n".join(notes),
        markdown_table(COLUMNS, map(table_row, rows)),
        READ,
        "![accuracy by variant](accuracy.png)",
    ]
    setting_rows = [(row.name, describe_settings(row.measured.settings)) for row in rows]
    parts += ["## What differs", markdown_table(("variant", "differs in"), setting_rows)]
    tested_rows = [row for row in rows if row.spreads["test_accuracy"]]
    if tested_rows:
        parts += [
            "## On test data",
            ON_TEST,
            markdown_table(("variant", "test_accuracy", "range", "test_loss"), map(_test, tested_rows)),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table_row(row: VariantComparison) -> tuple[str, ...]:
    """A variant's row."""
    accuracy, loss, difference = row.spreads["val_accuracy"], row.spreads["val_loss"], row.difference
    interval = interval_text(difference.low, difference.high, 100, "+.2f") if difference else ""
    return (
        row.name,
        _mean(accuracy, 100, ".2f", " %"),
        interval_text(accuracy.low, accuracy.high, 100, ".2f") if accuracy else "",
        _mean(loss, 1, ".4f"),
        f"{difference.mean * 100:+.2f}" if difference else "",
        interval,
        f"{difference.p_value:.3f}" if difference and difference.p_value is not None else "",
        f"{row.measured.parameters:,}",
        f"{row.seconds:.2f}" if row.seconds is not None else "-",
    )


def interval_text(low: float | None, high: float | None, scale: float, form: str) -> str:
    """An interval as people read it; empty where there is none."""
    return "" if low is None or high is None else f"{low * scale:{form}} to {high * scale:{form}}"


def _mean(spread: RepeatSpread | None, scale: float, form: str, unit: str = "") -> str:
    return f"{spread.mean * scale:{form}}{unit}" if spread else "-"


def _test(row: VariantComparison) -> tuple[str, ...]:
    accuracy, loss = row.spreads["test_accuracy"], row.spreads["test_loss"]
    spread = (
        interval_text(accuracy.least, accuracy.most, 100, ".2f") if accuracy and accuracy.least != accuracy.most else ""
    )
    return row.name, _mean(accuracy, 100, ".2f", " %"), spread, _mean(loss, 1, ".4f")
