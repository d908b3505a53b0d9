"""What is written into a `model.onnx` that is there already."""

from pathlib import Path

import numpy as np
import onnx

from eyespot.files import replacing

TEMPERATURE = "temperature"  # the name of an initialiser


def add_metadata(path: Path, key: str, text: str, to: Path | None = None) -> None:
    """Writes a text under `key`, in the place of one that is there; the graph and other metadata stay as they are.

    Args:
        to: another file to write, with the text; None: the same one.
    """
    model = onnx.load(path)
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != key]
    onnx.helper.set_model_props(model, {**dict(kept), key: text})
    with replacing(to or path) as temporary:
        onnx.save(model, temporary)


def set_temperature(path: Path, temperature: float) -> None:
    """Calibrates the probabilities: softmax(logits / temperature); nothing else changes."""
    model = onnx.load(path)
    (holder,) = (tensor for tensor in model.graph.initializer if tensor.name == TEMPERATURE)
    holder.CopyFrom(onnx.numpy_helper.from_array(np.float32(temperature), TEMPERATURE))
    with replacing(path) as temporary:
        onnx.save(model, temporary)


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a `model.onnx` carries, by key."""
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def temperature_of(path: Path) -> float:
    """What the probabilities are calibrated by."""
    (holder,) = (tensor for tensor in onnx.load(path).graph.initializer if tensor.name == TEMPERATURE)
    return float(onnx.numpy_helper.to_array(holder).item())
