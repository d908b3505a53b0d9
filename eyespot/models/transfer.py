"""Starting from trained weights: the same network, with a new head where the classes differ."""

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.fresh import seeded
from eyespot.models.own import check_built, check_fits
from eyespot.models.pixels import Shape


def continue_from(  # noqa: PLR0913 - what to continue from, and what it must fit
    trained: keras.Model, name: str, input_shape: Shape, classes: int, *, new_head: bool, freeze: bool, seed: int = 0
) -> keras.Model:
    """A trained model made ready for further training.

    Args:
        trained: its weights are shared with the result.
        name: what to call it in an error.
        new_head: replace the last dense layer by a fresh one, since it stands for other classes.
        freeze: leave everything but the head as it is (batch normalisation then runs with its stored statistics);
            otherwise every layer learns, also those that were frozen in the training before.
        seed: of the new head's weights.

    Raises:
        ModelError: it takes other pictures, or has no dense head to replace.
    """
    check_built(trained, name)
    heads = [layer for layer in trained.layers if isinstance(layer, keras.layers.Dense)]
    if not heads:
        raise ModelError(f"{name} has no dense layer at its end to serve as a head.")
    head = heads[-1]
    model = _with_new_head(trained, head, classes, seed) if new_head else trained
    check_fits(model, name, input_shape, classes)
    kept = next(layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense))
    for layer in model.layers:
        layer.trainable = layer is kept or not freeze
    return model


def _with_new_head(trained: keras.Model, head: keras.layers.Dense, classes: int, seed: int) -> keras.Model:
    """The layers before the head, a fresh head, and whatever activation followed it."""
    fresh = keras.layers.Dense(classes, activation=head.activation, name=f"head_{classes}_classes")
    seeded(fresh, seed, fresh.name)
    output = fresh(head.input)
    for layer in trained.layers[trained.layers.index(head) + 1 :]:
        output = layer(output)
    return keras.Model(trained.inputs[0], output, name=trained.name)
