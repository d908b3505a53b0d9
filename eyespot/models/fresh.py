"""Fresh weights: those of each layer are drawn from a stream of their own."""

from itertools import count

from eyespot.backend import keras
from eyespot.seeds import seed_for


def with_fresh_weights(model: keras.Model, seed: int) -> keras.Model:
    """The same layers, their weights drawn anew as functions of the seed and of the layer's place alone.

    Left to itself, Keras seeds a layer from Python's global generator, from which anything else may have drawn.
    """
    places = count()

    def again(layer: keras.Layer) -> keras.Layer:
        return seeded(type(layer).from_config(layer.get_config()), seed, next(places))

    return keras.models.clone_model(model, clone_function=again)


def seeded(layer: keras.Layer, seed: int, *names: str | int) -> keras.Layer:
    """A layer that is not built yet, its initializers given seeds; those that have one of their own keep it."""
    for attribute, value in vars(layer).items():
        if isinstance(value, keras.Initializer) and value.get_config().get("seed", "none") is None:
            value.seed = seed_for(seed, "weights", *names, attribute)
    return layer
