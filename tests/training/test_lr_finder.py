import numpy as np
import pytest

from eyespot.errors import DivergedError, ModelError
from eyespot.training.lr_finder import RateCurve, Smoothing, suggest

RATES = np.geomspace(1e-6, 10, 200)


def falling(middle: float, *, noise: float = 0.0, seed: int = 0, minimum: float = 0.3) -> RateCurve:
    """A loss that falls from 2.3 as a logistic curve about `middle`, a tenth of a decade wide, and then diverges."""
    decades = np.log10(RATES / middle)
    losses = minimum + (2.3 - minimum) / (1 + np.exp(decades / 0.1)) + np.exp((decades - 2) * 8)
    stop = int(np.flatnonzero(losses > 3)[0])
    losses = losses + noise * np.random.default_rng(seed).standard_normal(len(RATES))
    return RateCurve(RATES[:stop], losses[:stop], diverged=True)


@pytest.mark.parametrize("middle", [3e-5, 1e-3, 4e-2])
def test_the_right_rate_of_a_known_curve_is_found(middle: float):
    """Of a curve that falls about a known rate, the one where it has fallen by four fifths is suggested."""
    fallen = middle * 10 ** (0.1 * np.log(0.8 / 0.2))
    # Smoothing widens the fall, by less than a third of a decade.
    assert 1 <= suggest(falling(middle)) / fallen < 10 ** (1 / 3)


def test_noise_moves_it_little():
    """With the noise of small batches the suggestion stays within a factor of two."""
    exact = suggest(falling(1e-3))
    suggested = [suggest(falling(1e-3, noise=0.3, seed=seed)) for seed in range(20)]
    assert all(exact / 2 < one < exact * 2 for one in suggested)


def test_what_the_loss_is_measured_in_does_not_matter():
    """The suggestion is the same for losses that are scaled or shifted."""
    curve = falling(1e-3, noise=0.1)
    other = RateCurve(curve.rates, 7 * curve.losses + 5, diverged=True)
    assert suggest(other) == suggest(curve)


def test_smoothing_shifts_nothing():
    """A straight line stays where it is, away from its ends."""
    curve = RateCurve(RATES, np.linspace(0, 1, 200), diverged=False)
    assert curve.smoothed[30:-30] == pytest.approx(curve.losses[30:-30], abs=1e-5)


def test_a_loss_that_does_not_fall_gives_no_rate():
    """Noise alone, and a loss that only rises, are told as such."""
    noise = np.random.default_rng(0).standard_normal((50, 200)) * 0.2 + 2.3
    for losses in (*noise, np.linspace(2, 8, 200), np.full(200, 2.3)):
        with pytest.raises(ModelError, match="does not fall beyond its noise"):
            suggest(RateCurve(RATES, losses, diverged=False))


@pytest.mark.parametrize(("steps", "told"), [(0, "at the first step"), (5, "after 5 steps")])
def test_a_loss_that_diverges_at_once_gives_no_rate(steps: int, told: str):
    """Too few steps before the end are told as such."""
    with pytest.raises(DivergedError, match=told):
        suggest(RateCurve(RATES[:steps], np.full(steps, 2.3), diverged=True))


def test_the_average_has_no_bias():
    """From the first value on, the average of equal values is that value; of others it lies between them."""
    smoothing = Smoothing()
    assert [smoothing.add(2.5) for _ in range(5)] == pytest.approx([2.5] * 5)
    assert 1.0 < smoothing.add(1.0) < 2.5
