"""Models and weights from outside: a Python file, a `.keras` file, or the weights of a run.

Files are read, vetted and copied first (`vetting`); Keras opens the copy alone.
"""

import copy
import importlib.util
import inspect
import math
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from eyespot.backend import keras
from eyespot.errors import ModelError, first_line
from eyespot.keras_internals import default_device
from eyespot.models.graph import all_layers, ends_in_softmax, trace
from eyespot.models.input_range import before_weights, fits_reshaped
from eyespot.models.layers import Shape
from eyespot.models.vetting.archive import Archive, read_archive, write_archive
from eyespot.models.vetting.config import vet_config
from eyespot.models.vetting.hdf5 import read_weights, write_weights
from eyespot.random import seed_for

RESCALERS = (keras.layers.Rescaling, keras.layers.Normalization)


def is_own_model(name: str) -> bool:
    """Whether `name` means a file rather than a known architecture."""
    return name.endswith((".keras", ".h5", ".hdf5")) or ".py:" in name


def load_own_model(name: str, input_shape: Shape, classes: int, seed: int, *, trust: bool = False) -> keras.Model:
    """Build the model that `path.py:function` returns, or that a `.keras` file describes, with fresh weights.

    The function is called with `input_shape` and `classes` by name, or with nothing where it takes nothing.

    Raises:
        ModelError: no such file or function, or what it gives does not fit.
    """
    if ".py:" in name:
        model = _from_function(name, input_shape, classes)
    else:
        model = _drawn_anew(load_model(Path(name), trust=trust), name, seed)
    check_fits(model, name, input_shape, classes)
    return model


def _from_function(name: str, input_shape: Shape, classes: int) -> keras.Model:
    file, _, function_name = name.rpartition(":")
    module = _import_file(Path(file))
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(f"{file} has no function named {function_name!r}.")
    arguments = {"input_shape": input_shape, "classes": classes}
    accepted = inspect.signature(function).parameters
    try:
        model = function(**{key: value for key, value in arguments.items() if key in accepted})
    except Exception as error:
        raise ModelError(f"{name} failed with {type(error).__name__}: {error}") from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{name} must return a keras.Model; received {type(model).__name__}.")
    return model


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"There is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _drawn_anew(model: keras.Model, name: str, seed: int) -> keras.Model:
    """The same architecture, its weights drawn anew; what a Normalization layer has adapted to is kept."""
    check_built(model, name)
    fresh = with_fresh_weights(model, seed)
    for old, new in zip(all_layers(model), all_layers(fresh), strict=True):
        if isinstance(old, keras.layers.Normalization) and old.weights:
            new.set_weights(old.get_weights())
            new.finalize_state()
    return fresh


def check_built(model: keras.Model, name: str) -> None:
    """Raise a ModelError unless the model has one input and one output, known before it is called."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(getattr(model, "outputs", None) or ()) != 1:
        raise ModelError(
            f"{name} must be a built Sequential or Functional model with one input and one output: begin it with "
            "keras.Input(input_shape)."
        )


def with_fresh_weights(model: keras.Model, seed: int) -> keras.Model:
    """The same layers, their weights drawn anew as functions of the seed and of the layer's place alone.

    Left to itself, Keras seeds a layer from Python's global generator, from which anything else may have drawn.
    """
    positions = count()

    def again(layer: keras.Layer) -> keras.Layer:
        return seeded_initializers(type(layer).from_config(layer.get_config()), seed, next(positions))

    return keras.models.clone_model(model, clone_function=again)


def seeded_initializers(layer: keras.Layer, seed: int, *names: str | int) -> keras.Layer:
    """A layer that is not built yet, its initializers given seeds; those that have one of their own keep it."""
    for attribute, value in vars(layer).items():
        if isinstance(value, keras.Initializer) and value.get_config().get("seed", "none") is None:
            value.seed = seed_for(seed, "weights", *names, attribute)
    return layer


def load_model(path: Path, *, trust: bool = False) -> keras.Model:
    """Open a `.keras` file: nothing in it is executed, and no memory is taken that it does not fill.

    Args:
        trust: allow classes that are not Keras's own, which must be registered with Keras; the archive is checked as
            ever, and Keras's safe mode stays on.

    Raises:
        ModelError: it is missing, is HDF5 (which can carry code), names a class that is not allowed, or is not a Keras
            model.
    """
    if path.suffix in {".h5", ".hdf5"}:
        raise ModelError(
            f"{path} is a whole model in HDF5, which can carry code, and is not opened. "
            "Save it again with model.save('name.keras')."
        )
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.")
    with _as_model_error(f"{path} is not a Keras model that can be opened"):
        return open_model(path, trust=trust)


@contextmanager
def _as_model_error(subject: str) -> Iterator[None]:
    """Within it, any error becomes a ModelError of one sentence."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras raises many types for one cause: the file is no good
        raise ModelError(f"{subject}: {first_line(error)}.") from None


def open_model(path: Path, *, trust: bool) -> keras.Model:
    """The model in a `.keras` file; arguments and errors as of `own.load_model`, and whatever Keras raises.

    Raises:
        ModelError: it names a class that is not allowed.
        ValueError: it is damaged, or holds what it should not.
    """
    archive = read_archive(path)
    if vet_config(archive.config, path, trust=trust):
        archive = replace(archive, assets={})  # no layer of these has any
        _check_weights_are_there(archive)
    with tempfile.TemporaryDirectory() as folder:
        vetted = Path(folder) / "vetted.keras"
        write_archive(vetted, archive)
        model = keras.saving.load_model(vetted, compile=False, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ValueError(f"it holds a {type(model).__name__}, which is no whole model")  # noqa: TRY004 - the file's fault, not a caller's
    return model


def _check_weights_are_there(archive: Archive) -> None:
    """Raise a ValueError if the model would have more weights than the file holds: a few bytes can ask for any size.

    The model is built once without memory, on the device where PyTorch's arrays have a shape and no content.
    """
    with _without_memory():
        model = keras.saving.deserialize_keras_object(copy.deepcopy(archive.config), safe_mode=True)
    expected = sum(math.prod(weight.shape) for weight in getattr(model, "weights", ()))
    stored = sum(array.size for array in archive.weights.values())
    if expected > stored:
        raise ValueError(f"its layers have {expected:,} weights, and it holds {stored:,}")


@contextmanager
def _without_memory() -> Iterator[None]:
    """Within it, what Keras builds takes no memory and draws none of Python's random numbers."""
    state = random.getstate()
    try:
        with default_device("meta"), keras.device("meta"):
            yield
    finally:
        random.setstate(state)


def check_fits(model: keras.Model, name: str, input_shape: Shape, classes: int) -> None:
    """Raise a ModelError unless the model takes these images and gives probabilities for these classes."""
    check_built(model, name)
    takes, gives = tuple(model.inputs[0].shape[1:]), tuple(model.outputs[0].shape[1:])
    matches = len(takes) == len(input_shape) and all(
        side in (None, expected) for side, expected in zip(takes, input_shape, strict=True)
    )
    if not matches and not fits_reshaped(takes, input_shape):
        raise ModelError(f"{name} takes images of {takes}; these are {input_shape} (height, width, channels).")
    if gives != (classes,):
        raise ModelError(f"{name} gives an output of {gives}; expected one probability a class: {(classes,)}.")
    if not ends_in_softmax(model.layers[-1]):
        raise ModelError(f"{name} must end in softmax: eyespot trains and reports probabilities.")


def load_weights(model: keras.Model, path: Path) -> None:
    """Load the weights of a `.weights.h5` file, as `model.save_weights` writes it, into a built model.

    Raises:
        ModelError: it is missing, damaged, holds anything else than arrays of numbers, or those of another model.
    """
    if not path.name.endswith(".weights.h5"):
        raise ModelError(f"{path} is not opened: weights are files that model.save_weights('name.weights.h5') wrote.")
    if not path.is_file():
        raise ModelError(f"There is no weights file {path}.")
    with _as_model_error(f"{path} does not hold weights of this model that can be read"):
        open_weights(model, path)


def open_weights(model: keras.Model, path: Path) -> None:
    """Load a `.weights.h5` file into a built model; raise ValueError, and whatever Keras raises."""
    arrays = read_weights(path.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        vetted = Path(folder) / "vetted.weights.h5"
        write_weights(vetted, arrays)
        model.load_weights(vetted)


def layers_of_their_own(model: keras.Model) -> list[str]:
    """The classes of layers that Keras does not have, and whose code a `.keras` file does not carry."""
    return sorted(
        {type(layer).__name__ for layer in all_layers(model) if not type(layer).__module__.startswith("keras.")}
    )


def takes_raw_pixels(model: keras.Model) -> bool:
    """Whether the model rescales 0-255 pixels itself, before its first layer that learns."""
    before, first = before_weights(trace(model))
    return any(isinstance(call.layer, RESCALERS) for call in [*before, *filter(None, [first])])


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
        ModelError: it takes other images, or has no dense head to replace.
    """
    check_built(trained, name)
    heads = [layer for layer in trained.layers if isinstance(layer, keras.layers.Dense)]
    if not heads:
        raise ModelError(f"{name} has no dense layer at its end to serve as a head.")
    head = heads[-1]
    model = _with_new_head(trained, head, classes, seed) if new_head else trained
    check_fits(model, name, input_shape, classes)
    set_trainable(model, head_alone=freeze)
    return model


def set_trainable(model: keras.Model, *, head_alone: bool) -> None:
    """Let every layer learn, or the last dense one alone; batch normalisation then runs with its stored statistics."""
    last_dense = next(layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense))
    for layer in model.layers:
        layer.trainable = layer is last_dense or not head_alone


def fresh_head(classes: int, activation: Any, seed: int) -> keras.layers.Dense:
    """A dense layer for these classes, whose weights the seed alone draws."""
    head = keras.layers.Dense(classes, activation=activation, name=f"head_{classes}_classes")
    return seeded_initializers(head, seed, head.name)


def _with_new_head(trained: keras.Model, head: keras.layers.Dense, classes: int, seed: int) -> keras.Model:
    """The layers before the head, a fresh head, and whatever activation followed it."""
    output = fresh_head(classes, head.activation, seed)(head.input)
    for layer in trained.layers[trained.layers.index(head) + 1 :]:
        output = layer(output)
    return keras.Model(trained.inputs[0], output, name=trained.name)
