"""Calibration is measured as it was made, and a temperature mends it."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from eyespot.errors import DataError
from eyespot.evaluation.calibration import calibration, fit_temperature

CLASSES = 5


def drawn(n: int, temperature: float = 1.0, seed: int = 0) -> tuple[Any, Any]:
    """Logits, and labels drawn from softmax(logits / temperature): a temperature above 1 makes the logits too sure."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (n, CLASSES)).astype(np.float32)
    true = softmax(logits.astype(float) / temperature, axis=1).cumsum(axis=1)
    return logits, np.minimum((generator.random((n, 1)) > true).sum(axis=1), CLASSES - 1)


def probabilities(logits: Any, temperature: float = 1.0) -> Any:
    return softmax(logits / np.float32(temperature), axis=1).astype(np.float32)


def test_what_is_calibrated_measures_so():
    """Labels drawn from the probabilities: the error is of the size that chance makes, and shrinks with n."""
    few, many = ((probabilities(x), y) for x, y in (drawn(2_000), drawn(200_000)))
    assert calibration(*few).ece < 0.04
    assert calibration(*many).ece < 0.005


def test_too_sure_is_measured_by_how_much():
    """Always 99 % sure, right in 80 %: an error of 0.19."""
    sure = np.full((5_000, 2), (0.99, 0.01), np.float32)
    labels = (np.arange(5_000) % 5 == 0).astype(np.int64)
    found = calibration(sure, labels)
    assert found.ece == pytest.approx(0.19, abs=1e-5)
    assert sum(each.n for each in found.bins) == 5_000


def test_brier_and_likelihood_are_scikit_learns():
    """The same numbers as the library's."""
    logits, labels = drawn(500)
    given, exact = probabilities(logits), softmax(logits.astype(float), axis=1)
    found = calibration(given, labels)
    brier = brier_score_loss(labels, exact, labels=range(CLASSES), scale_by_half=False)
    assert found.brier == pytest.approx(brier, rel=1e-5)
    assert found.nll == pytest.approx(log_loss(labels, exact, labels=range(CLASSES)), rel=1e-5)


def test_bins_hold_equal_numbers_from_unsure_to_sure():
    """However unevenly confidence is spread; few images make few bins, and every bin has its interval."""
    found = calibration(*((probabilities(x), y) for x, y in [drawn(1_007)]).__next__())
    assert len(found.bins) == 15
    assert {each.n for each in found.bins} == {67, 68}
    confidences = [each.confidence for each in found.bins]
    assert confidences == sorted(confidences)
    assert all(each.low <= each.accuracy <= each.high for each in found.bins)
    logits, labels = drawn(45)
    assert len(calibration(probabilities(logits), labels).bins) == 2
    assert len(calibration(probabilities(logits[:1]), labels[:1]).bins) == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(temperature: float):
    """That by which the logits were made wrong, and with it new images are calibrated, and still classed alike."""
    found = fit_temperature(*drawn(20_000, temperature))
    assert found == pytest.approx(temperature, rel=0.05)
    logits, labels = drawn(50_000, temperature, seed=1)
    before, after = probabilities(logits), probabilities(logits, found)
    assert calibration(after, labels).ece < 0.01
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    if temperature != 1:
        assert calibration(before, labels).ece > 0.05


def test_few_pictures_do_not_say_much():
    """All right or all wrong, the likeliest temperature is 0 or infinite: two images move it little, 20,000 more."""
    logits = np.array([[2, 0], [3, 0]], np.float32)
    right, wrong = np.array([0, 0]), np.array([1, 1])
    assert 0.8 < fit_temperature(logits, right) < 1 < fit_temperature(logits, wrong) < 2.5
    many = [np.repeat(each, 10_000, axis=0) for each in (logits, right, wrong)]
    assert 0.05 <= fit_temperature(many[0], many[1]) < 0.3
    assert 5 < fit_temperature(many[0], many[2]) <= 20


def test_no_pictures_are_told():
    """There is nothing to measure or fit on."""
    none, labels = np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
    for measure in (calibration, fit_temperature):
        with pytest.raises(DataError, match="no images"):
            measure(none, labels)
