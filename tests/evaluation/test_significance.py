"""Tests raise false alarms as seldom as they say, and find what is there."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyespot.errors import DataError
from eyespot.evaluation.significance import holm, mcnemar, paired_over_seeds

Tell = Callable[[str], None]


def alarms(first: float, second: float, *, pictures: int = 500, times: int = 2_000) -> float:
    """The share of pairs of classifiers with these accuracies that are called different."""
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(times):
        hard = generator.random(pictures)  # what is hard for one is hard for the other
        rights = [hard + generator.normal(0, 0.1, pictures) < accuracy for accuracy in (first, second)]
        found += mcnemar(*rights).p_value < 0.05
    return found / times


def test_mcnemar_raises_few_false_alarms(tell: Tell):
    """At most 5 % where both err alike; where one is better, it mostly says so."""
    false, true = alarms(0.9, 0.9), alarms(0.9, 0.85)
    tell(f"McNemar, 500 pictures: {false:.2%} false alarms; a difference of 5 points is found in {true:.1%}")
    assert false <= 0.05
    assert true > 0.75


def test_mcnemar_counts():
    """The counts are what they are called, and the p-value the binomial's."""
    first = np.array([True] * 9 + [False] * 3)
    second = np.array([True] * 2 + [False] * 7 + [True] + [False] * 2)
    found = mcnemar(first, second)
    assert (found.n, found.only_first, found.only_second) == (12, 7, 1)
    assert found.p_value == pytest.approx(2 * (8 + 1) / 2**8)
    assert found.difference == pytest.approx(-0.5)
    assert mcnemar(first, first).p_value == 1


def test_mcnemar_takes_the_same_pictures():
    """Of other pictures, or of none, it says nothing."""
    for first, second in ((np.ones(3, bool), np.ones(4, bool)), (np.ones(0, bool), np.ones(0, bool))):
        with pytest.raises(DataError, match="same pictures"):
            mcnemar(first, second)


@pytest.mark.parametrize("seeds", [3, 10])
def test_paired_over_seeds_keeps_its_word(seeds: int, tell: Tell):
    """5 % false alarms, and an interval that covers in 95 %; seeds that are alike in both are no spread."""
    generator = np.random.default_rng(seeds)
    false = covered = found = 0
    for _ in range(3_000):
        common = generator.normal(0.9, 0.05, seeds)
        one, other = ((common + generator.normal(0, 0.002, seeds)).tolist() for _ in range(2))
        equal = paired_over_seeds(one, other)
        false += equal.p_value < 0.05
        covered += equal.low <= 0 <= equal.high
        found += paired_over_seeds(one, [figure + 0.02 for figure in other]).p_value < 0.05
    tell(f"paired t-test, {seeds} seeds: {false / 3_000:.2%} false alarms, covers {covered / 3_000:.2%}")
    assert 0.035 < false / 3_000 < 0.065
    assert 0.935 < covered / 3_000 < 0.965
    assert found / 3_000 > 0.9


def test_equal_differences_have_no_spread():
    """As accuracies on few pictures may have."""
    none, same = paired_over_seeds([0.5, 0.75], [0.5, 0.75]), paired_over_seeds([0.5, 0.75], [0.625, 0.875])
    assert (none.mean, none.low, none.high, none.p_value) == (0, 0, 0, 1)
    assert (same.mean, same.low, same.high, same.p_value) == (0.125, 0.125, 0.125, 0)


@pytest.mark.parametrize(("first", "second"), [([], []), ([0.5], [0.6]), ([0.5, 0.6], [0.5])])
def test_one_seed_is_no_test(first: list[float], second: list[float]):
    """There must be a difference of differences."""
    with pytest.raises(DataError, match="two seeds or more"):
        paired_over_seeds(first, second)


def test_holm_keeps_several_tests_together(tell: Tell):
    """Ten tests without any effect: at least one alarm in 5 % with Holm, in 40 % without."""
    p_values = np.random.default_rng(1).random((4_000, 10))
    kept = np.mean([min(holm(row.tolist())) < 0.05 for row in p_values])
    bare = (p_values.min(axis=1) < 0.05).mean()
    tell(f"ten tests: a false alarm in {kept:.2%} with Holm, in {bare:.1%} without")
    assert kept < 0.06
    assert bare > 0.3


def test_holm_by_hand():
    """Holm's own procedure: the smallest times four, the next times three, never less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_none_and_bonferroni(p_values: list[float]):
    """It is never below the p-value, nor above as many times it as there are tests."""
    for plain, adjusted in zip(p_values, holm(p_values), strict=True):
        assert plain <= adjusted <= 1
    if p_values:
        assert min(holm(p_values)) == pytest.approx(min(1.0, len(p_values) * min(p_values)))
