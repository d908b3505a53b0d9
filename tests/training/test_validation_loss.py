"""Whether a change of validation loss is more than chance."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from eyespot.training.validation_loss import Estimate, ValidationCurve


def test_images_are_compared_pairwise():
    """On two windows of a curve that does not jump, the error is that of a paired comparison."""
    generator = np.random.default_rng(0)
    images = generator.exponential(1.0, 500).astype(np.float32)
    later = (images * generator.normal(1.1, 0.2, 500)).astype(np.float32)
    share = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
    by_image = images * (1 - share) + later * share
    change = ValidationCurve([], by_image).change(slice(0, 3), slice(5, 8))
    first, last = (by_image[window].mean(axis=0) for window in (slice(0, 3), slice(5, 8)))
    assert change.value == pytest.approx(float((last - first).mean()), abs=1e-6)
    assert change.epoch_error == pytest.approx(0, abs=1e-4)
    assert change.value / change.image_error == pytest.approx(float(ttest_rel(last, first).statistic), rel=1e-3)


def test_jumps_are_told_from_a_trend():
    """The error of a straight curve is nothing; noise of 0.02 an epoch is found to within a third."""
    straight = ValidationCurve(np.linspace(0.5, 0.1, 60).tolist())
    assert straight.change(slice(0, 12), straight.last).epoch_error == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(0).normal(0, 0.02, 60)
    noisy = ValidationCurve((np.linspace(0.1, 0.5, 60) + noise).tolist())
    assert noisy.change(slice(0, 12), noisy.last).epoch_error == pytest.approx(0.02 * math.sqrt(2 / 12), rel=0.33)


def test_jumps_of_single_images_are_not_counted_twice():
    """Images that jump each for itself add to the error of the choice of images, not to that of the epochs."""
    generator = np.random.default_rng(0)
    losses = generator.exponential(1.0, 400) * generator.normal(1, 0.3, (30, 400))
    change = ValidationCurve([], losses.astype(np.float32)).change(slice(0, 6), slice(24, 30))
    assert change.epoch_error < change.image_error / 2


def test_two_epochs_say_nothing_of_jumps():
    """Where jumps cannot be estimated, no change is beyond chance."""
    change = ValidationCurve([0.1, 0.9]).change(slice(0, 1), slice(1, 2))
    assert change.p_value() >= 0.5
    assert change.bound(0.05) == math.inf


def test_p_values_and_bounds():
    """A figure without error is certain; a choice among several is paid for."""
    assert Estimate(0.1).p_value() == 0
    assert Estimate(-0.1).p_value() == 1
    assert Estimate(0.1).bound(0.05) == 0.1
    one = Estimate(2.0, image_error=1.0)
    assert one.p_value() == pytest.approx(0.02275, abs=1e-5)
    assert one.p_value(choices=3) == pytest.approx(3 * 0.02275, abs=1e-4)
    assert (one.bound(0.05), one.bound(0.95)) == pytest.approx((3.645, 0.355), abs=1e-3)
