"""Backbones by name, and a classifier of one: its layers and weights, and a fresh head."""

from pathlib import Path
from typing import Protocol

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.keras_internals import call_layers
from eyespot.models.backbones.applications import APPLICATIONS
from eyespot.models.backbones.efficientnet_lite import LITE
from eyespot.models.layers import Shape, reason_in
from eyespot.models.loading import fresh_head
from eyespot.random import seed_for
from eyespot.recipe.schema import BACKBONE_SIDES

SMALLEST = 32  # pixels a side: the features are a 32nd of it
COLORS = 3


class Backbone(Protocol):
    """A pretrained network: pixels 0-255 in, features out."""

    @property
    def name(self) -> str:
        """By which it is asked for."""

    @property
    def licence(self) -> str:
        """Of the weights."""

    @property
    def source(self) -> str:
        """Where the weights come from."""

    def weights_path(self) -> Path | None:
        """The file of weights; None where it is not on this machine."""

    def fetch_weights(self) -> Path:
        """The file of weights, known to be the published one; it may be downloaded."""

    def body(self, input_shape: Shape) -> keras.Model:
        """The network with random weights, for `uint8` colour pixels of (height, width, 3)."""

    def load_weights(self, model: keras.Model) -> None:
        """Give what `body` has made its published weights."""


_KNOWN: dict[str, Backbone] = {**LITE, **APPLICATIONS}
BACKBONES = {name: _KNOWN[name] for name in BACKBONE_SIDES}  # in the order in which they are listed


def own_shape(name: str) -> Shape:
    """(height, width, channels) of the images that a backbone's weights were trained on."""
    side = BACKBONE_SIDES[name]
    return side, side, COLORS


def build_on_backbone(
    name: str, input_shape: Shape, classes: int, seed: int = 0, *, weights: bool = True
) -> keras.Model:
    """Build a classifier: a backbone's layers, and a fresh dense head with softmax.

    Args:
        name: one of BACKBONES.
        input_shape: (height, width, channels) of the images; grey ones are repeated to three channels inside.
        seed: of the head's weights.
        weights: the backbone has its published weights; otherwise its weights are random.

    Returns:
        A built model that takes `uint8` pixels [n, height, width, channels] and gives probabilities [n, classes].

    Raises:
        ModelError, MissingExtra: it cannot take these images, or its weights are missing or not the published ones.
    """
    backbone, (height, width, channels) = BACKBONES[name], input_shape
    if min(height, width) < SMALLEST:
        best = "x".join(map(str, own_shape(name)[:2]))
        raise ModelError(
            f"{name} takes images of at least {SMALLEST}x{SMALLEST} pixels, best {best}; these are {height}x{width}."
        )
    keras.utils.set_random_seed(seed_for(seed, "weights"))
    try:
        body = backbone.body((height, width, COLORS))
    except ValueError as error:
        raise ModelError(f"{name} cannot take images of {height}x{width}: {reason_in(error)}") from None
    if weights:
        backbone.load_weights(body)
    pixels, features = body.inputs[0], body.outputs[0]
    if channels != COLORS:
        pixels = keras.Input(input_shape, dtype="uint8", name="pixels")
        features = call_layers(body, keras.layers.Concatenate(name="grey_to_color")([pixels] * COLORS))
    return keras.Model(pixels, fresh_head(classes, "softmax", seed)(features), name=name)
