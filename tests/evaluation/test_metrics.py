import math

import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.evaluation.metrics import compared_with_guessing, cross_entropies, evaluate_probabilities
from eyespot.evaluation.statistics import wilson

NAMES = ("a", "b", "c")
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.0], [0.4, 0.35, 0.25], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.45, 0.1, 0.45], [0.0, 0.0, 1.0]],
    np.float32,
)
LABELS = np.array([0, 1, 1, 2, 2, 0], np.int64)


def test_figures_by_hand():
    """Predictions are the argmax: three of six right; the matrix has labels by row and predictions by column."""
    found = evaluate_probabilities(PROBABILITIES, LABELS, NAMES)
    assert (found.n, found.correct, found.incorrect, found.accuracy) == (6, 3, 3, 0.5)
    assert found.confusion == [[1, 0, 1], [1, 1, 0], [1, 0, 1]]
    assert found.report["classes"]["b"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1-score": pytest.approx(2 / 3),
        "support": 2.0,
    }
    assert [(pair["label"], pair["predict"], pair["pictures"]) for pair in found.most_confused] == [
        ("c", "a", 1), ("b", "a", 1), ("a", "c", 1)
    ]  # fmt: skip


def test_rounding_before_argmax_sends_the_uncertain_to_class_0():
    """Rounded, rows without a probability above one half are all zeros, and argmax answers 0."""
    found = evaluate_probabilities(PROBABILITIES, LABELS, NAMES)
    assert found.correct_after_rounding == 2  # the uncertain picture of class c, right by argmax, becomes class a


def test_the_loss_is_keras_loss():
    """The mean cross-entropy is Keras's own, a certain mistake included."""
    expected = keras.losses.SparseCategoricalCrossentropy()(LABELS, PROBABILITIES)
    assert evaluate_probabilities(PROBABILITIES, LABELS, NAMES).loss == pytest.approx(float(expected), rel=1e-5)
    assert cross_entropies(PROBABILITIES, LABELS)[5] == pytest.approx(-math.log(1e-7))


def test_a_class_without_pictures_has_figures():
    """A class that does not occur in the labels is reported with zeros, not with an error."""
    found = evaluate_probabilities(PROBABILITIES[:3], LABELS[:3], NAMES)
    assert found.report["classes"]["c"]["support"] == 0


def test_everything_right_has_no_confusions():
    """Without mistakes the list of confusions is empty, and the interval still ends below 1 on its low side."""
    found = evaluate_probabilities(np.eye(3, dtype=np.float32), np.arange(3), NAMES)
    assert found.most_confused == []
    assert found.accuracy_interval[0] < 0.5


@pytest.mark.parametrize(
    ("right", "n", "low", "high"), [(9230, 10000, 0.91761, 0.92806), (0, 10, 0.0, 0.27753), (50, 50, 0.92865, 1.0)]
)
def test_wilsons_interval(right: int, n: int, low: float, high: float):
    """Wilson's formula, worked out by hand."""
    z = 1.959963984540054
    share = right / n
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    by_formula = [(centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)]
    assert wilson(right, n) == pytest.approx(by_formula, abs=1e-9)
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("predictions", "sentences"),
    [
        ([0] * 30, ["always predicting 'a', which is right on 40.00%", "Every image is predicted as 'a'."]),
        ([0, 1, 2] * 10, ["always predicting 'a', which is right on 40.00%"]),
        ([0] * 12 + [1] * 9 + [2] * 9, []),
    ],
)
def test_what_is_no_better_than_guessing_is_said(predictions: list[int], sentences: list[str]):
    """Against always the commonest class, beyond chance; and where it does nothing else, that too."""
    labels = np.array([0] * 12 + [1] * 9 + [2] * 9)
    figures = evaluate_probabilities(np.eye(3, dtype=np.float32)[predictions], labels, ("a", "b", "c")).to_dict()
    said = compared_with_guessing(figures, ("a", "b", "c"))
    assert len(said) == len(sentences)
    assert all(part in sentence for part, sentence in zip(sentences, said, strict=True))
