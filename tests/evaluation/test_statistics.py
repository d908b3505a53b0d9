"""Intervals cover the truth as often as they say.

Tests raise false alarms as seldom as they say, and find what is there.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import f1_score

from eyespot.errors import DataError
from eyespot.evaluation.statistics import holm, macro_f1_interval, mcnemar, mean_interval, paired_over_seeds, wilson

Tell = Callable[[str], None]


@pytest.mark.parametrize("n", [1_000, pytest.param(3_000, marks=pytest.mark.slow)])
def test_wilson_covers_as_often_as_it_says(n: int, tell: Tell):
    """95 % give or take 1.5 points, for every accuracy from 1 % to 99 %: summed over all outcomes, not sampled."""
    ends = cache(lambda successes: wilson(successes, n))
    coverage = {}
    for accuracy in np.linspace(0.01, 0.99, 99):
        likely = np.flatnonzero(binom.pmf(np.arange(n + 1), n, accuracy) > 1e-7)
        covering = [k for k in likely.tolist() if ends(k)[0] <= accuracy <= ends(k)[1]]
        coverage[accuracy] = np.sum(binom.pmf(covering, n, accuracy))
    tell(f"Wilson, n = {n:,}: covers {min(coverage.values()):.2%} to {max(coverage.values()):.2%}")
    assert min(coverage.values()) > 0.935
    assert max(coverage.values()) < 0.965


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 50), (50, 50)])
def test_wilson_at_the_ends(successes: int, n: int):
    """It stays within 0 and 1, and holds what was measured."""
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


def confusion(generator: np.random.Generator, n: int) -> np.ndarray:
    """Of a classifier that errs differently on each of four unequal classes."""
    return generator.multinomial(n, SHARES.ravel()).reshape(4, 4)


SHARES = np.array([0.4, 0.3, 0.2, 0.1])[:, None] * np.array(
    [[0.9, 0.05, 0.05, 0.0], [0.1, 0.8, 0.05, 0.05], [0.0, 0.02, 0.98, 0.0], [0.2, 0.1, 0.1, 0.6]]
)


def exact_macro_f1(counts: np.ndarray) -> float:
    return float((2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))).mean())


def test_macro_f1_is_covered(tell: Tell):
    """By the bootstrap's interval, nearly as often as it says; by one of half its width, much more seldom."""
    generator, truth = np.random.default_rng(0), exact_macro_f1(SHARES)
    covered = narrow = 0
    for seed in range(400):
        low, high = macro_f1_interval(confusion(generator, 1_000), seed=seed)
        covered += low <= truth <= high
        narrow += low + (high - low) / 4 <= truth <= high - (high - low) / 4
    tell(f"macro-F1, n = 1,000: the bootstrap covers {covered / 400:.2%}")
    assert 0.92 <= covered / 400 <= 0.98
    assert narrow / 400 < 0.8


def test_macro_f1_interval_is_that_of_pictures_drawn_anew():
    """Drawing counts from the matrix is drawing images: scikit-learn's scores of resampled images agree."""
    counts = confusion(np.random.default_rng(1), 500)
    true = np.repeat(np.arange(4), counts.sum(axis=1))
    taken = np.concatenate([np.repeat(np.arange(4), row) for row in counts])
    generator = np.random.default_rng(2)
    draws = [generator.integers(0, 500, 500) for _ in range(400)]
    scores = [f1_score(true[rows], taken[rows], average="macro", zero_division=0) for rows in draws]
    assert macro_f1_interval(counts) == pytest.approx(np.quantile(scores, (0.025, 0.975)), abs=0.01)


def test_macro_f1_of_many_classes_takes_little_memory(monkeypatch: pytest.MonkeyPatch):
    """Only filled cells are drawn; a thousand classes are no matter, nor is drawing them in parts."""
    counts = np.diag(np.full(1_000, 5))
    counts[3, 4] = 2
    low, high = macro_f1_interval(counts)
    assert 0.99 < low <= high <= 1
    monkeypatch.setattr("eyespot.evaluation.statistics.CELLS_AT_ONCE", 50_000)
    assert macro_f1_interval(counts) == pytest.approx((low, high), abs=1e-3)


def test_a_perfect_classifier_has_a_perfect_interval():
    """Nothing that can be drawn is wrong."""
    assert macro_f1_interval(np.diag([30, 20, 10])) == (1.0, 1.0)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_of_a_mean_covers_as_often_as_it_says(n: int):
    """95 % of 4,000 samples of a normal distribution, give or take 1.5 points, however few values a sample has."""
    samples = np.random.default_rng(n).normal(0.9, 0.02, (4_000, n))
    ends = [mean_interval(sample.tolist()) for sample in samples]
    assert np.mean([low <= 0.9 <= high for low, high in ends]) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval():
    """A single measurement is refused."""
    with pytest.raises(DataError, match="two measurements or more: 1"):
        mean_interval([0.9])


def alarms(first: float, second: float, times: int, *, pictures: int = 500) -> float:
    """The share of pairs of classifiers with these accuracies that are called different."""
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(times):
        hard = generator.random(pictures)  # what is hard for one is hard for the other
        rights = [hard + generator.normal(0, 0.1, pictures) < accuracy for accuracy in (first, second)]
        found += mcnemar(*rights).p_value < 0.05
    return found / times


@pytest.mark.parametrize("times", [400, pytest.param(2_000, marks=pytest.mark.slow)])
def test_mcnemar_raises_few_false_alarms(times: int, tell: Tell):
    """At most 5 % where both err alike; where one is better, it mostly says so."""
    false, true = alarms(0.9, 0.9, times), alarms(0.9, 0.85, times)
    tell(f"McNemar, 500 images: {false:.2%} false alarms; a difference of 5 points is found in {true:.1%}")
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
    """Of other images, or of none, it says nothing."""
    for first, second in ((np.ones(3, bool), np.ones(4, bool)), (np.ones(0, bool), np.ones(0, bool))):
        with pytest.raises(DataError, match="same images"):
            mcnemar(first, second)


@pytest.mark.parametrize("times", [500, pytest.param(3_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seeds", [3, 10])
def test_paired_over_seeds_keeps_its_word(seeds: int, times: int, tell: Tell):
    """5 % false alarms, and an interval that covers in 95 %; seeds that are alike in both are no spread."""
    generator = np.random.default_rng(seeds)
    false = covered = found = 0
    for _ in range(times):
        common = generator.normal(0.9, 0.05, seeds)
        one, other = ((common + generator.normal(0, 0.002, seeds)).tolist() for _ in range(2))
        equal = paired_over_seeds(one, other)
        false += equal.p_value < 0.05
        covered += equal.low <= 0 <= equal.high
        found += paired_over_seeds(one, [figure + 0.02 for figure in other]).p_value < 0.05
    tell(f"paired t-test, {seeds} seeds: {false / times:.2%} false alarms, covers {covered / times:.2%}")
    chance = 3.3 * (0.05 * 0.95 / times) ** 0.5
    assert false / times == pytest.approx(0.05, abs=chance)
    assert covered / times == pytest.approx(0.95, abs=chance)
    assert found / times > 0.9


def test_equal_differences_have_no_spread():
    """As accuracies on few images may have."""
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
