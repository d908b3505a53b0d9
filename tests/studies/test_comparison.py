from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from eyespot.studies.comparison import (
    VariantComparison,
    VariantMeasurements,
    compare_variants,
    sentences,
    study_page,
    table_row,
)

BASE = [0.90, 0.91, 0.92, 0.90, 0.91]


def measured(name: str, accuracies: list[float | None], diverged: int = 0) -> VariantMeasurements:
    none: list[float | None] = [None] * len(accuracies)
    figures: dict[str, list[float | None]] = {
        "val_accuracy": accuracies,
        "val_loss": [0.3] * len(accuracies),
        "test_accuracy": none,
        "test_loss": none,
    }
    return VariantMeasurements(name, {"training.epochs": 3}, 1000, figures, [0.5, 0.7, 0.6], diverged)


def less(by: list[float]) -> list[Any]:
    return [float(value - one) for value, one in zip(BASE, by, strict=True)]


def test_a_difference_is_tested_seed_by_seed_and_adjusted():
    """Means, intervals and p-values are SciPy's paired t-test; of two tests the smaller p counts double (Holm)."""
    worse, same = less([0.02, 0.03, 0.02, 0.03, 0.02]), less([0.01, -0.01, 0.02, -0.01, 0.0])
    rows = compare_variants(measured("base", [*BASE]), [measured("no dropout", worse), measured("512", same)])
    first, second = rows[1].difference, rows[2].difference
    assert first
    assert second
    tested = ttest_rel(worse, BASE)
    assert first.p_value == pytest.approx(2 * tested.pvalue)
    assert (first.low, first.high) == pytest.approx(tuple(tested.confidence_interval()))
    assert second.p_value == pytest.approx(ttest_rel(same, BASE).pvalue)
    assert rows[0].difference is None


def test_the_sentences_say_what_matters_and_what_cannot_be_told():
    """What is found is told with size, interval and p; what is not, as what the repeats do not show."""
    worse, same = less([0.02, 0.03, 0.02, 0.03, 0.02]), less([0.01, -0.01, 0.02, -0.01, 0.0])
    told = sentences(
        compare_variants(measured("base", [*BASE]), [measured("512", same), measured("no dropout", worse)])
    )
    assert told == [
        "no dropout costs 2.40 points (95 % interval 1.72 to 3.08, p = 0.0012).",
        "512 made no difference that 5 repeats could show (-0.20 points, 95 % interval -1.82 to +1.42, p = 0.75).",
    ]


def test_one_repeat_is_not_tested():
    """With one repeat there is no test and no interval, and the sentence says that it cannot tell."""
    rows = compare_variants(measured("base", [0.9]), [measured("other", [0.8])])
    assert rows[1].difference
    assert rows[1].difference.p_value is None
    assert sentences(rows) == ["One repeat cannot tell a difference from chance: repeat each training (`repeats=5`)."]
    assert table_row(rows[1])[:7] == ("other", "80.00 %", "", "0.3000", "-10.00", "", "")


def test_equal_differences_are_not_taken_for_certainty():
    """On few pictures three repeats may differ by the same one picture: that is no p-value of 0."""
    rows = compare_variants(measured("base", [0.5, 0.75, 0.875]), [measured("other", [0.625, 0.875, 1.0])])
    assert rows[1].difference
    assert not rows[1].difference.is_significant
    assert "not tested: it is the same in all 3 repeats" in sentences(rows)[0]
    equal = compare_variants(measured("base", [0.5, 0.75]), [measured("other", [0.5, 0.75])])
    assert "made no difference that 2 repeats could show" in sentences(equal)[0]


def test_what_diverged_is_told_and_not_tested():
    """Repeats without figures are counted, left out of the means, and keep the variant from being tested."""
    rows = compare_variants(
        measured("base", [0.9, 0.91]), [measured("hot", [None, 0.5], 1), measured("hotter", [None, None], 2)]
    )
    assert sentences(rows)[-2:] == ["hot diverged in 1 of 2 repeats.", "hotter diverged in 2 of 2 repeats."]
    assert "not tested" in sentences(rows)[0]
    assert rows[2].difference is None
    assert table_row(rows[2])[1] == "-"


def test_chance_is_not_called_a_difference():
    """Of studies whose four variants do not differ from the base, at most about one in twenty finds a difference."""
    generator, found = np.random.default_rng(5), 0
    for _ in range(400):
        base, *others = generator.normal(0.9, 0.01, (5, 4))
        rows = compare_variants(
            measured("base", [*map(float, base)]), [measured("x", [*map(float, one)]) for one in others]
        )
        found += any(row.difference is not None and row.difference.is_significant for row in rows)
    assert found / 400 < 0.075


def test_an_interval_of_an_accuracy_stays_within_0_and_1():
    """No accuracy is above 100 %, nor is the end of its interval."""
    (row, _) = compare_variants(measured("base", [0.99, 1.0]), [measured("x", [0.9, 0.99])])
    spread = row.spreads["val_accuracy"]
    assert spread
    assert spread.high == 1.0


def test_the_page_sets_test_figures_apart():
    """What was measured on test data stands last, and the page says that nothing rests on it."""
    rows: list[VariantComparison] = compare_variants(measured("base", [0.9, 0.91]), [measured("x|y", [0.8, 0.83])])
    text = study_page("digits", "here", rows, sentences(rows), ["a note"])
    assert r"x\|y" in text
    assert "On test data" not in text  # there is none
    with_test = VariantMeasurements("base", {}, 10, {name: [0.5, 0.6] for name in rows[0].measured.figures}, [], 0)
    text = study_page("digits", "here", compare_variants(with_test, [with_test]), [], [])
    assert text.index("## What differs") < text.index("## On test data")
    assert "Nothing above rests on these" in text
