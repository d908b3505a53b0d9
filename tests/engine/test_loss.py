"""The fused loss against Keras's own objects, differentiated by PyTorch."""

from typing import Any

import pytest
import torch

from eyespot.backend import keras
from eyespot.engine.loss import CrossEntropy, cross_entropy, fused_loss

losses = keras.losses
# Ordinary logits, some whose probabilities are clipped at either end, and a tie.
LOGITS = torch.tensor([[0.3, -1.2, 0.8], [40.0, 0.0, -1.0], [-30.0, 2.0, 1.0], [0.0, 0.0, 0.0], [17.0, 0.0, 16.0]])
LABELS = torch.tensor([2, 1, 0, 1, 0])
WEIGHTS = torch.tensor([1.0, 0.5, 2.0, 0.0, 3.0])
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"]


def targets(loss: Any) -> torch.Tensor:
    sparse = isinstance(loss, losses.SparseCategoricalCrossentropy)
    return LABELS if sparse else torch.nn.functional.one_hot(LABELS, 3).float()


def agrees(loss: Any, weights: torch.Tensor | None) -> None:
    from_logits = loss.get_config()["from_logits"]
    leaf = LOGITS.clone().requires_grad_()
    theirs = loss(targets(loss), leaf if from_logits else torch.softmax(leaf, 1), weights)
    (reference,) = torch.autograd.grad(theirs, leaf)
    fused = fused_loss(loss, of_probabilities=not from_logits)
    assert fused is not None
    ours = fused(LOGITS, targets(loss), weights)
    assert float(ours.loss) == pytest.approx(float(theirs.detach()), rel=1e-6)
    assert ours.gradient is not None
    torch.testing.assert_close(ours.gradient, reference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.predictions, LOGITS if from_logits else torch.softmax(LOGITS, 1))
    assert fused(LOGITS, targets(loss), weights, with_gradient=False).gradient is None


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_loss_and_gradient_are_those_of_keras(from_logits: bool, reduction: str, weights: Any):
    """Of clipped probabilities too, with every reduction and with sample weights."""
    agrees(losses.SparseCategoricalCrossentropy(from_logits=from_logits, reduction=reduction), weights)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("from_logits", [False, True])
def test_one_hot_loss_and_gradient_are_those_of_keras(from_logits: bool, smoothing: float, weights: Any):
    """Of clipped probabilities too, with smoothed labels and with sample weights."""
    agrees(losses.CategoricalCrossentropy(from_logits=from_logits, label_smoothing=smoothing), weights)


def test_clipped_rows_have_no_gradient():
    """Where the label's probability is clipped, nothing flows back; elsewhere p - onehot, over n."""
    gradient = CrossEntropy(sparse=True)(LOGITS, LABELS).gradient
    assert gradient is not None
    assert gradient.abs().sum(1).bool().tolist() == [True, False, False, True, True]
    torch.testing.assert_close(gradient[3], torch.tensor([1 / 3, -2 / 3, 1 / 3]) / 5)


def test_weights_that_sum_to_zero_give_zero():
    """As Keras's division that knows no zero."""
    judged = CrossEntropy(sparse=True, reduction="mean_with_sample_weight")(LOGITS, LABELS, torch.zeros(5))
    assert float(judged.loss) == 0
    assert judged.gradient is not None
    assert not judged.gradient.any()


def test_bfloat16_logits_get_gradients_of_their_kind():
    """The loss is float32, the gradient has the dtype of the logits."""
    judged = CrossEntropy(sparse=True)(LOGITS.bfloat16(), LABELS)
    assert judged.gradient is not None
    assert (judged.loss.dtype, judged.gradient.dtype) == (torch.float32, torch.bfloat16)


def test_both_fused_losses_are_the_same():
    """The training's own sparse cross-entropy is the compiled one."""
    ours, theirs = cross_entropy(LOGITS, LABELS, "cpu"), CrossEntropy(sparse=True)(LOGITS, LABELS)
    torch.testing.assert_close(ours.loss, theirs.loss)
    torch.testing.assert_close(ours.gradient, theirs.gradient)


class OwnCrossEntropy(keras.losses.SparseCategoricalCrossentropy):
    """A subclass, which may compute something else."""


FOUND: list[tuple[Any, bool, CrossEntropy | None]] = [
    ("sparse_categorical_crossentropy", True, CrossEntropy(sparse=True)),
    ("SparseCategoricalCrossentropy", True, CrossEntropy(sparse=True)),
    (losses.categorical_crossentropy, True, CrossEntropy(sparse=False)),
    (losses.CategoricalCrossentropy, True, CrossEntropy(sparse=False)),
    ("sparse_categorical_crossentropy", False, None),
    (losses.CategoricalCrossentropy(from_logits=True), True, None),
    (losses.CategoricalCrossentropy(from_logits=True), False, CrossEntropy(sparse=False, from_logits=True)),
    (losses.CategoricalCrossentropy(reduction=None), True, None),
    (losses.SparseCategoricalCrossentropy(ignore_class=0), True, None),
    (OwnCrossEntropy(), True, None),
    ("mse", True, None),
    (["sparse_categorical_crossentropy"], True, None),
    (None, True, None),
]


@pytest.mark.parametrize(("loss", "of_probabilities", "expected"), FOUND)
def test_only_what_is_known_is_fused(loss: Any, of_probabilities: bool, expected: CrossEntropy | None):
    """Names, functions and Keras's own objects are; what would be computed otherwise is left to Keras."""
    assert fused_loss(loss, of_probabilities=of_probabilities) == expected
