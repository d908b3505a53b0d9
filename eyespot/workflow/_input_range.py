"""The range of pixels that a user's own model expects: read off its first layers, measured, or assumed; and stated."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import cohen_kappa_score

from eyespot.backend import keras
from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation.significance import SIGNIFICANT, mcnemar
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
from eyespot.recipe import Recipe
from eyespot.seeds import seed_for
from eyespot.shapes import Bool, Int64

MOST, AT_ONCE = 1_000, 64  # images to measure on
FEW = 64  # images that are enough to read the first layers
CHANCE = 0.2  # Cohen's kappa up to which agreement is slight (Landis and Koch 1977, Biometrics 33:159-174)
AUTO = "auto"
INSIDE = "Rescaling is now part of the run's model."
ASSUMED = (
    f"The model does not rescale pixels, and nothing shows which range it expects: {USUAL} is assumed, as in most "
    f"tutorials; --input-range {RAW}, -1-1 or standardised changes that."
)


def with_its_range(
    model: keras.Model, recipe: Recipe, dataset: Dataset, *, trained: bool
) -> tuple[keras.Model, str, list[str]]:
    """A user's own model, made to take pixels 0-255.

    Args:
        trained: for these classes, so that its accuracy on training images tells the range.

    Returns:
        The model, with rescaling inside where it needs any; the range, and what the user should be told of it.
    """
    asked = recipe.model.input_range
    # Whole numbers are pixels as they are.
    if asked == AUTO and not model.inputs[0].dtype.startswith(("float", "bfloat")):
        return with_scaling(model, Scaling(), dataset.input_shape), AUTO, []
    rows = np.random.default_rng(seed_for(recipe.training.seed, "input range")).permutation(len(dataset.train))[:MOST]
    sample, known = dataset.train.take(rows), scalings(dataset.train.images)
    told = told_by_first_layers(model, np.asarray(sample.images[:FEW]), known)
    right = _right_answers(model, sample, known) if trained else {}
    chosen: str
    if asked != AUTO:
        chosen, sentences = asked, _of_asked(asked, right, told)
    elif right:
        chosen, sentences = _chosen(right, told)
    elif told:
        chosen, sentences = told, [f"The model's first layers expect pixels in {told}."]
    else:
        chosen, sentences = USUAL, [ASSUMED]
    ready = with_scaling(model, known[chosen], dataset.input_shape)
    if chosen != RAW:
        sentences[0] += f" {INSIDE}"
    return ready, chosen, sentences


def _right_answers(
    model: keras.Model, sample: Split, known: Mapping[str, Scaling]
) -> dict[str, Bool[np.ndarray, " n"]]:
    """Which images the model reads right in each range; nothing where it reads them no better than chance in any."""
    answers = {name: _answers(model, sample, scaling) for name, scaling in known.items()}
    knows = any(cohen_kappa_score(sample.labels, answer) > CHANCE for answer in answers.values())
    return {name: answer == sample.labels for name, answer in answers.items()} if knows else {}


def _answers(model: keras.Model, sample: Split, scaling: Scaling) -> Int64[np.ndarray, " n"]:
    graph, starts = trace(model), range(0, len(sample), AT_ONCE)
    batches = (as_input(model, scaling(np.asarray(sample.images[start : start + AT_ONCE]))) for start in starts)
    return np.concatenate([value_at(graph, graph.output, images).argmax(axis=1) for images in batches])


def _chosen(right: Mapping[str, Bool[np.ndarray, " n"]], told: str | None) -> tuple[str, list[str]]:
    """The range with the highest accuracy; of several that do not differ significantly, what is likelier beforehand."""
    best = _best(right)
    alike = [name for name in right if not _is_worse(right[name], right[best])]
    chosen = told if told in alike else USUAL if USUAL in alike else best
    figures = _figures(right, [chosen, *sorted(right.keys() - {chosen}, key=lambda name: -right[name].mean())])
    if len(alike) == 1:
        return chosen, [f"The model expects pixels in {chosen}: it reads {figures}."]
    reason = (
        "as its first layers do"
        if chosen == told
        else "as most tutorials do"
        if chosen == USUAL
        else "where its accuracy is highest"
    )
    rivals = " and ".join(name for name in alike if name != chosen)
    alike_too = f"the accuracy as {rivals} does not differ significantly"
    return chosen, [f"The model is taken to expect pixels in {chosen}, {reason}: it reads {figures}; {alike_too}."]


def _of_asked(asked: str, right: Mapping[str, Bool[np.ndarray, " n"]], told: str | None) -> list[str]:
    """What was asked for, and what speaks against it."""
    sentences = [f"The model gets pixels in {asked}, as model.input_range says."]
    if right and _is_worse(right[asked], right[best := _best(right)]):
        sentences.append(f"Warning: it reads {_figures(right, [asked, best])}. --input-range {best} fits better.")
    elif not right and told not in {None, asked}:
        sentences.append(f"Warning: its first layers expect pixels in {told}. --input-range {told} fits better.")
    return sentences


def _best(right: Mapping[str, Bool[np.ndarray, " n"]]) -> str:
    return max(right, key=lambda name: right[name].mean())


def _is_worse(one: Bool[np.ndarray, " n"], best: Bool[np.ndarray, " n"]) -> bool:
    tested = mcnemar(one, best)
    return tested.difference > 0 and tested.p_value < SIGNIFICANT


def _figures(right: Mapping[str, Bool[np.ndarray, " n"]], order: list[str]) -> str:
    first, *others = order
    told = ", ".join(f"{right[name].mean():.1%} as {name}" for name in others)
    return f"{right[first].mean():.1%} of {len(right[first]):,} training images so, {told}"
