"""The learning rate over a training."""

from typing import Any

from eyespot.backend import keras
from eyespot.recipe.schema import TrainingRecipe

schedules = keras.optimizers.schedules
END = 0.01  # exponential: what is left of the learning rate at the end


def learning_rate_for(recipe: TrainingRecipe, highest: float, steps: int) -> Any:
    """A number, or one of Keras's schedules by the number of the step over all of the recipe's epochs.

    Cosine: Loshchilov and Hutter 2016 (arXiv:1608.03983), without restarts, down to 0; a warm-up rises to `highest`
    on a straight line first. Linear: down to 0. Exponential: down to a hundredth.

    Args:
        highest: the learning rate that it starts from, or warms up to.
        steps: of an epoch.
    """
    total_steps, warmup = recipe.epochs * steps, round(recipe.warmup_epochs * steps)
    if recipe.schedule == "cosine" and warmup:
        return schedules.CosineDecay(0.0, total_steps - warmup, warmup_target=highest, warmup_steps=warmup)
    if recipe.schedule == "cosine":
        return schedules.CosineDecay(highest, total_steps)
    if recipe.schedule == "linear":
        return schedules.PolynomialDecay(highest, total_steps, end_learning_rate=0.0)
    if recipe.schedule == "exponential":
        return schedules.ExponentialDecay(highest, total_steps, END)
    return highest
