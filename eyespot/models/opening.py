"""Models and weights from outside: read, vetted and copied here; Keras opens the copy alone."""

import copy
import math
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from eyespot.backend import keras
from eyespot.models.archive import Archive, read_archive, write_archive
from eyespot.models.classes import vet_config
from eyespot.models.hdf5 import read_weights, write_weights


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


def open_weights(model: keras.Model, path: Path) -> None:
    """Loads a `.weights.h5` file into a built model; raises ValueError, and whatever Keras raises."""
    arrays = read_weights(path.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        vetted = Path(folder) / "vetted.weights.h5"
        write_weights(vetted, arrays)
        model.load_weights(vetted)


def _check_weights_are_there(archive: Archive) -> None:
    """Raises a ValueError if the model would have more weights than the file holds: a few bytes can ask for any size.

    The model is built once without memory, on the device where PyTorch's arrays have a shape and no content.
    """
    with _without_memory():
        model = keras.saving.deserialize_keras_object(copy.deepcopy(archive.config), safe_mode=True)
    wanted = sum(math.prod(weight.shape) for weight in getattr(model, "weights", ()))
    held = sum(array.size for array in archive.weights.values())
    if wanted > held:
        raise ValueError(f"its layers have {wanted:,} weights, and it holds {held:,}")


@contextmanager
def _without_memory() -> Iterator[None]:
    """What Keras builds takes no memory, nor does it take from Python's random numbers."""
    state = random.getstate()
    core = keras.src.backend.torch.core
    default = core.DEFAULT_DEVICE
    core.DEFAULT_DEVICE = "meta"  # where a layer cannot be traced without memory, Keras would try it with
    try:
        with keras.device("meta"):
            yield
    finally:
        core.DEFAULT_DEVICE = default
        random.setstate(state)
