"""A user's own model: a function in a Python file, or a `.keras` file."""

import importlib.util
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.fresh import with_fresh_weights
from eyespot.models.graph import all_layers, trace
from eyespot.models.input_range import before_weights, fits_reshaped
from eyespot.models.opening import open_model, open_weights
from eyespot.models.pixels import Shape

RESCALERS = (keras.layers.Rescaling, keras.layers.Normalization)


def is_own(name: str) -> bool:
    """Whether `name` means a file rather than a known architecture."""
    return name.endswith((".keras", ".h5", ".hdf5")) or ".py:" in name


def own_model(name: str, input_shape: Shape, classes: int, seed: int, *, trust: bool = False) -> keras.Model:
    """Builds the model that `path.py:function` returns, or that a `.keras` file describes, with fresh weights.

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


def load_model(path: Path, *, trust: bool = False) -> keras.Model:
    """Opens a `.keras` file: nothing in it is executed, and no memory is taken that it does not fill.

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
    with _told(f"{path} is not a Keras model that can be opened"):
        return open_model(path, trust=trust)


def load_weights(model: keras.Model, path: Path) -> None:
    """Loads the weights of a `.weights.h5` file, as `model.save_weights` writes it, into a built model.

    Raises:
        ModelError: it is missing, damaged, holds anything else than arrays of numbers, or those of another model.
    """
    if not path.name.endswith(".weights.h5"):
        raise ModelError(f"{path} is not opened: weights are files that model.save_weights('name.weights.h5') wrote.")
    if not path.is_file():
        raise ModelError(f"There is no weights file {path}.")
    with _told(f"{path} does not hold weights of this model that can be read"):
        open_weights(model, path)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Any error becomes one sentence."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras raises many types for one cause: the file is no good
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise ModelError(f"{what}: {reason}.") from None


def check_fits(model: keras.Model, name: str, input_shape: Shape, classes: int) -> None:
    """Raises a ModelError unless the model takes these pictures and gives probabilities for these classes."""
    check_built(model, name)
    takes, gives = tuple(model.inputs[0].shape[1:]), tuple(model.outputs[0].shape[1:])
    same = len(takes) == len(input_shape) and all(
        side in (None, wanted) for side, wanted in zip(takes, input_shape, strict=True)
    )
    if not same and not fits_reshaped(takes, input_shape):
        raise ModelError(f"{name} takes pictures of {takes}; these are {input_shape} (height, width, channels).")
    if gives != (classes,):
        raise ModelError(f"{name} gives an output of {gives}; expected one probability a class: {(classes,)}.")
    if not ends_in_softmax(model):
        raise ModelError(f"{name} must end in softmax: eyespot trains and reports probabilities.")


def check_built(model: keras.Model, name: str) -> None:
    """Raises a ModelError unless the model has one input and one output, known before it is called."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(getattr(model, "outputs", None) or ()) != 1:
        raise ModelError(
            f"{name} must be a built Sequential or Functional model with one input and one output: begin it with "
            "keras.Input(input_shape)."
        )


def layers_of_their_own(model: keras.Model) -> list[str]:
    """The classes of layers that Keras does not have, and whose code a `.keras` file does not carry."""
    return sorted(
        {type(layer).__name__ for layer in all_layers(model) if not type(layer).__module__.startswith("keras.")}
    )


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether the last layer turns its input into probabilities."""
    last = model.layers[-1]
    return isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax


def takes_raw_pixels(model: keras.Model) -> bool:
    """Whether the model rescales 0-255 pixels itself, before its first layer that learns."""
    before, first = before_weights(trace(model))
    return any(isinstance(call.layer, RESCALERS) for call in [*before, *filter(None, [first])])


def _drawn_anew(model: keras.Model, name: str, seed: int) -> keras.Model:
    """The same architecture, its weights drawn anew; what a Normalization layer has adapted to is kept."""
    check_built(model, name)
    fresh = with_fresh_weights(model, seed)
    for old, new in zip(all_layers(model), all_layers(fresh), strict=True):
        if isinstance(old, keras.layers.Normalization) and old.weights:
            new.set_weights(old.get_weights())
            new.finalize_state()
    return fresh


def _from_function(name: str, input_shape: Shape, classes: int) -> keras.Model:
    file, _, function_name = name.rpartition(":")
    module = _import_file(Path(file))
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(f"{file} has no function named {function_name!r}.")
    wanted = {"input_shape": input_shape, "classes": classes}
    accepted = inspect.signature(function).parameters
    try:
        model = function(**{key: value for key, value in wanted.items() if key in accepted})
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
