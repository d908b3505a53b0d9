"""Intervals cover the truth as often as they say."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import f1_score

from eyespot.errors import DataError
from eyespot.evaluation.intervals import macro_f1_interval, mean_interval, wilson

Tell = Callable[[str], None]


@pytest.mark.parametrize("n", [1_000, 3_000])
def test_wilson_covers_as_often_as_it_says(n: int, tell: Tell):
    """95 % give or take 1.5 points, for every accuracy from 1 % to 99 %: summed over all outcomes, not sampled."""
    ends = cache(lambda successes: wilson(successes, n))
    coverage = {}
    for accuracy in np.linspace(0.01, 0.99, 99):
        likely = np.flatnonzero(binom.pmf(np.arange(n + 1), n, accuracy) > 1e-7)
        covering = [k for k in likely.tolist() if ends(k)[0] <= accuracy <= ends(k)[1]]
        coverage[accuracy] = binom.pmf(covering, n, accuracy).sum()
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
    """Drawing counts from the matrix is drawing pictures: scikit-learn's scores of resampled pictures agree."""
    counts = confusion(np.random.default_rng(1), 500)
    true = np.repeat(np.arange(4), counts.sum(axis=1))
    taken = np.concatenate([np.repeat(np.arange(4), row) for row in counts])
    generator = np.random.default_rng(2)
    draws = [generator.integers(0, 500, 500) for _ in range(1_500)]
    scores = [f1_score(true[rows], taken[rows], average="macro", zero_division=0) for rows in draws]
    assert macro_f1_interval(counts) == pytest.approx(np.quantile(scores, (0.025, 0.975)), abs=0.01)


def test_macro_f1_of_many_classes_takes_little_memory(monkeypatch: pytest.MonkeyPatch):
    """Only filled cells are drawn; a thousand classes are no matter, nor is drawing them in parts."""
    counts = np.diag(np.full(1_000, 5))
    counts[3, 4] = 2
    low, high = macro_f1_interval(counts)
    assert 0.99 < low <= high <= 1
    monkeypatch.setattr("eyespot.evaluation.intervals.CELLS_AT_ONCE", 50_000)
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
