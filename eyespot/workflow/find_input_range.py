"""The range of pixels that a user's own model expects: read off its first layers, measured, or assumed; and stated."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import cohen_kappa_score

from eyespot.backend import keras
from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation.statistics import SIGNIFICANT, mcnemar
from eyespot.models.graph import trace
from eyespot.models.input_range import (
    RAW,
    USUAL,
    Scaling,
    as_input,
    scalings,
    told_by_first_layers,
    value_at,
    with_scaling,
)
from eyespot.random import seed_for
from eyespot.recipe.schema import Recipe
from eyespot.shapes import Bool, Int64

MOST, AT_ONCE = 1_000, 64  # images to measure on
FEW = 64  # images that are enough to read the first layers
CHANCE = 0.2  # Cohen's kappa up to which agreement is slight (Landis and Koch 1977, Biometrics 33:159-174)
FAR = 1.0  # nats
AUTO = "auto"
INSIDE = "Rescaling is now part of the run's model."
ASSUMED = (
    f"The model does not rescale pixels, and nothing shows which range it expects: {USUAL} is assumed, as in most "
    f"tutorials; `model.input_range={RAW!r}`, '-1-1' or 'standardised' changes that."
)


def with_input_range(
    model: keras.Model, recipe: Recipe, dataset: Dataset, *, trained: bool
) -> tuple[keras.Model, str, list[str]]:
    """A user's own model, made to take pixels 0-255.

    Args:
        trained: for these classes, so that its accuracy on training images tells the range.

    Returns:
        The model, with rescaling inside where it needs any; the range, and notes on it for the user.
    """
    requested = recipe.model.input_range
    # Whole numbers are pixels as they are.
    if requested == AUTO and not model.inputs[0].dtype.startswith(("float", "bfloat")):
        return with_scaling(model, Scaling(), dataset.input_shape), AUTO, []
    rows = np.random.default_rng(seed_for(recipe.training.seed, "input range")).permutation(len(dataset.train))[:MOST]
    sample, ranges = dataset.train.take(rows), scalings(dataset.train.images)
    expected = told_by_first_layers(model, np.asarray(sample.images[:FEW]), ranges)
    readings = _readings(model, sample, ranges) if trained else {}
    chosen: str
    if requested != AUTO:
        chosen, sentences = requested, _of_asked(requested, readings, expected)
    elif readings:
        chosen, sentences = _chosen(readings, expected)
    elif expected:
        chosen, sentences = expected, [f"The model's first layers expect pixels in {expected}."]
    else:
        chosen, sentences = USUAL, [ASSUMED]
    scaled_model = with_scaling(model, ranges[chosen], dataset.input_shape)
    if chosen != RAW:
        sentences[0] += f" {INSIDE}"
    return scaled_model, chosen, sentences


@dataclass(frozen=True, eq=False)
class RangeScore:
    """A model's predictions on training images in one range.

    Attributes:
        right: which of them.
        loss: mean cross-entropy.
    """

    right: Bool[np.ndarray, " n"]
    loss: float

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return float(self.right.mean())


def _readings(model: keras.Model, sample: Split, ranges: Mapping[str, Scaling]) -> dict[str, RangeScore]:
    """The model's score in each range; nothing where it is no better than chance in any."""
    graph, starts = trace(model), range(0, len(sample), AT_ONCE)
    readings, is_informative = {}, False
    for name, scaling in ranges.items():
        batches = (as_input(model, scaling(np.asarray(sample.images[start : start + AT_ONCE]))) for start in starts)
        rows = np.concatenate([value_at(graph, graph.output, images) for images in batches])
        readings[name] = RangeScore(rows.argmax(axis=1) == sample.labels, _cross_entropy(rows, sample.labels))
        is_informative |= cohen_kappa_score(sample.labels, rows.argmax(axis=1)) > CHANCE
    return readings if is_informative else {}


def _cross_entropy(rows: np.ndarray, labels: Int64[np.ndarray, " n"]) -> float:
    """Mean cross-entropy, as Keras clips it."""
    return float(-np.log(np.clip(rows[np.arange(len(labels)), labels], 1e-7, 1)).mean())


def _of_asked(requested: str, readings: Mapping[str, RangeScore], expected: str | None) -> list[str]:
    """Sentences on the range that was asked for, and on what speaks against it."""
    sentences = [f"The model gets pixels in {requested}, as `model.input_range` says."]
    if readings:
        best, _ = _chosen(readings, expected)
        if _is_better(readings[best], readings[requested]):
            sentences.append(
                f"Warning: it reads {_figures(readings, [requested, best])}. `model.input_range={best!r}` fits better."
            )
    elif expected not in {None, requested}:
        sentences.append(
            f"Warning: its first layers expect pixels in {expected}. `model.input_range={expected!r}` fits better."
        )
    return sentences


def _chosen(readings: Mapping[str, RangeScore], expected: str | None) -> tuple[str, list[str]]:
    """The range that first layers or tutorials speak for, unless the model reads images clearly better in another."""
    default_range = expected or USUAL
    better = [name for name in readings if _is_better(readings[name], readings[default_range])]
    chosen = max(better, key=lambda name: (readings[name].accuracy, -readings[name].loss), default=default_range)
    others = sorted(readings.keys() - {chosen}, key=lambda name: -readings[name].accuracy)
    figures = _figures(readings, [chosen, *others])
    if all(_is_better(readings[chosen], readings[name]) for name in others):
        return chosen, [f"The model expects pixels in {chosen}: it reads {figures}."]
    reason = "which fits best" if better else "as its first layers do" if expected else "as most tutorials do"
    return chosen, [f"The model is taken to expect pixels in {chosen}, {reason}: it reads {figures}."]


def _is_better(score: RangeScore, reference: RangeScore) -> bool:
    """Whether accuracy is significantly higher, and loss lower; or accuracy alike, and loss lower by far.

    Either alone misleads: pixels that are 255 times too large sharpen a network's answers, which lowers the loss where
    all are right, and may turn out more accurate where a network has been trained for a short time.
    """
    test = mcnemar(reference.right, score.right)
    if test.p_value < SIGNIFICANT:
        return test.difference > 0 and score.loss <= reference.loss
    return score.loss + FAR < reference.loss


def _figures(readings: Mapping[str, RangeScore], order: list[str]) -> str:
    first, *others = (readings[name] for name in order)
    comparisons = ", ".join(
        f"{score.accuracy:.1%} as {name} (loss {score.loss:.2f})" for score, name in zip(others, order[1:], strict=True)
    )
    return f"{first.accuracy:.1%} of {len(first.right):,} training images so (loss {first.loss:.2f}), {comparisons}"
