"""Multilayer perceptrons: pixels in a row, dense layers."""

from collections.abc import Sequence

from eyespot.backend import keras
from eyespot.models.pixels import Shape, pixel_input

layers = keras.layers


def mlp(input_shape: Shape, classes: int, *, hidden: Sequence[int] = (512, 512), dropout: float = 0.2) -> keras.Model:
    """Dense ReLU layers of `hidden` units, each followed by dropout where `dropout` is above 0."""
    stack = [*pixel_input(input_shape), layers.Flatten()]
    for units in hidden:
        stack.append(layers.Dense(units, activation="relu"))
        if dropout:
            stack.append(layers.Dropout(dropout))
    return keras.Sequential([*stack, layers.Dense(classes, activation="softmax")], name="mlp")
