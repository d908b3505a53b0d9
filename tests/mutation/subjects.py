"""The files that eyespot writes and reads: what is mutated."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.backend import keras
from eyespot.inference.predictor import Predictor
from eyespot.models.loading import load_model, load_weights
from eyespot.onnx_writer.write import write_onnx
from eyespot.training import checkpoint
from tests.mutation.subject import Parts, Subject, write_file, write_folder

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)
CHECKPOINT = (
    {"epoch": 3, "position": 17, "history": [0.5, 0.25]},
    {"weights/0": np.arange(60, dtype=np.float32).reshape(20, 3), "optimizer/0": np.array(7)},
)


@cache
def model() -> keras.Model:
    """A network of a few hundred weights, with what a recipe's model has, and compiled."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.RandomRotation(0.1),
            layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(),
            layers.Flatten(), layers.Dropout(0.2), layers.Dense(3, activation="softmax"),
        ]
    )  # fmt: skip
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(PIXELS, np.array([0, 1, 2]), verbose=0)
    return network


@cache
def weights() -> list[np.ndarray]:
    return list(model().get_weights())


def written(name: str, write: Callable[[Path], None]) -> Parts:
    """The files that a writer leaves under a name in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return {file.name: file.read_bytes() for file in files}


def unzipped(data: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Parts) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def write_sealed_checkpoint(path: Path, parts: Parts) -> None:
    """As a forger would: the archive's checksums and the hashes fit what was mutated."""
    arrays = {name: data for name, data in parts.items() if name.endswith(".npy")}
    files = {"state.json": parts["state.json"], "arrays.npz": zipped(arrays)}
    told = {name: {"bytes": len(data), "sha256": checkpoint._sha256(data)} for name, data in files.items()}
    manifest = json.dumps({"format": checkpoint.FORMAT, "files": told}).encode()
    seal = f"{checkpoint._sha256(manifest)}  manifest.json\n".encode()
    write_folder(path, {**files, "manifest.json": manifest, "manifest.sha256": seal})


def write_sealed_archive(path: Path, parts: Parts) -> None:
    path.write_bytes(zipped(parts))


def checkpoint_parts() -> Parts:
    return written("checkpoint", lambda path: checkpoint.write_checkpoint(path, *CHECKPOINT))


def sealed_checkpoint_parts() -> Parts:
    parts = checkpoint_parts()
    return {"state.json": parts["state.json"], **unzipped(parts["arrays.npz"])}


def is_checkpoint(read: Any) -> bool:
    (state, arrays), (whole, expected) = read, CHECKPOINT
    return bool(
        state == whole
        and set(arrays) == set(expected)
        and all(
            array.dtype == expected[name].dtype
            and array.shape == expected[name].shape
            and array.tobytes() == expected[name].tobytes()
            for name, array in arrays.items()
        )
    )


def is_some_checkpoint(read: Any) -> bool:
    """A forged one says what it likes, but of numbers alone."""
    state, arrays = read
    return isinstance(state, dict) and all(array.dtype.kind in checkpoint.PLAIN for array in arrays.values())


def differing(read: list[np.ndarray]) -> float:
    """In how many weights a model differs from the one that was written; infinitely many where the shapes do."""
    if [array.shape for array in read] != [array.shape for array in weights()]:
        return float("inf")
    pairs = zip(read, weights(), strict=True)
    return sum(int((new.view(np.uint32) != old.view(np.uint32)).sum()) for new, old in pairs)


def is_model(read: keras.Model, part: str, changed: int) -> bool:
    """The weights are those written but for bytes that were changed, where nothing told; a configuration is free."""
    if part == "config.json":
        return isinstance(read, keras.Model)
    probabilities = keras.ops.convert_to_numpy(read(PIXELS, training=False))
    return differing(read.get_weights()) <= changed and probabilities.shape == (3, 3)


def is_whole_model(read: keras.Model) -> bool:
    return is_model(read, "", 0) and bool(np.isfinite(keras.ops.convert_to_numpy(read(PIXELS))).all())


def read_weights(path: Path) -> list[np.ndarray]:
    """Into a network whose weights are all 0 before, so that none of them is right by itself."""
    network = _emptied()
    network.set_weights([np.zeros_like(array) for array in weights()])
    load_weights(network, path)
    return list(network.get_weights())


@cache
def _emptied() -> keras.Model:
    return keras.models.clone_model(model())


def are_probabilities(read: np.ndarray) -> bool:
    return read.shape == (3, 3) and bool(np.isfinite(read).all())


SUBJECTS = {
    "checkpoint": Subject(
        "checkpoint", checkpoint_parts, write_folder, checkpoint.read_checkpoint, lambda read, *_: is_checkpoint(read)
    ),
    "sealed checkpoint": Subject(
        "checkpoint", sealed_checkpoint_parts, write_sealed_checkpoint, checkpoint.read_checkpoint,
        lambda read, *_: is_some_checkpoint(read),
    ),
    "model": Subject(
        "m.keras", lambda: written("m.keras", model().save), write_file, load_model,
        lambda read, *_: is_whole_model(read),
    ),
    "sealed model": Subject(
        "m.keras", lambda: unzipped(written("m.keras", model().save)["m.keras"]), write_sealed_archive, load_model,
        is_model,
    ),
    "weights": Subject(
        "m.weights.h5", lambda: written("m.weights.h5", model().save_weights), write_file, read_weights,
        lambda read, _, changed: differing(read) <= changed,
    ),
    "onnx": Subject(
        "m.onnx", lambda: written("m.onnx", lambda path: write_onnx(model(), path, tuple("abc"), PIXELS)), write_file,
        lambda path: Predictor(path).probabilities(PIXELS), lambda read, *_: are_probabilities(read),
    ),
}  # fmt: skip
