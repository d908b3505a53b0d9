"""The contract of `model.onnx`: what it carries besides its graph, under which names, and how that is read and written.

    metadata   eyespot             JSON, a `ModelMetadata`
               eyespot.rejection   JSON, a `Rejection` (`ood.py`)
               eyespot.card        the model card, Markdown
    tensors    temperature         an initialiser: probabilities = softmax(logits / temperature)
    outputs    logits, probabilities; features, where a dense layer comes last

A prediction reads it without the package `onnx`, which only the functions on files need.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from eyespot.data.picture import Resize
from eyespot.files import replacing
from eyespot.preprocessing.appearance import Appearance

METADATA_KEY = "eyespot"
REJECTION_KEY = "eyespot.rejection"
CARD_KEY = "eyespot.card"
TEMPERATURE = "temperature"
LOGITS, PROBABILITIES, FEATURES = "logits", "probabilities", "features"


@dataclass(frozen=True)
class ModelMetadata:
    """Metadata of a model.

    Attributes:
        class_names: one an output.
        input_shape: (height, width, channels) of its pictures.
        resize: how training brought pictures to that size; `squash` where the file does not say.
        appearance: what its training images look like; None where the file does not say.
    """

    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    resize: Resize = "squash"
    appearance: Appearance | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelMetadata":
        """Reads what `dump` wrote.

        Raises:
            ValueError, RecursionError, and as `from_dict`: it is damaged.
        """
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelMetadata":
        """Reads the values of `dump`'s JSON.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, OverflowError: a value is missing or does not fit.
        """
        size, appearance = values["input"], values.get("appearance")
        resize: Resize = values["resize"] if values.get("resize") in get_args(Resize) else "squash"
        return cls(
            tuple(str(name) for name in values["class_names"]),
            (int(size["height"]), int(size["width"]), int(size["channels"])),
            resize,
            None if appearance is None else Appearance.from_dict(appearance),
        )

    def dump(self) -> str:
        """The metadata as JSON, for `model.onnx`."""
        height, width, channels = self.input_shape
        values: dict[str, Any] = {
            "class_names": list(self.class_names),
            "input": {"height": height, "width": width, "channels": channels, "dtype": "uint8", "range": [0, 255]},
            "resize": self.resize,
        }
        if self.appearance is not None:
            values["appearance"] = self.appearance.to_dict()
        return json.dumps(values, ensure_ascii=False)

    def describe(self, name: str) -> dict[str, Any]:
        """Description of the model called `name` in the REST API and an exported page; plain values, for JSON."""
        height, width, channels = self.input_shape
        return {
            "name": name,
            "classes": list(self.class_names),
            "input": {"height": height, "width": width, "channels": channels},
            "resize": self.resize,
            "appearance": self.appearance.to_dict() if self.appearance else None,
        }


def add_metadata(path: Path, key: str, text: str, to: Path | None = None) -> None:
    """Writes a text under `key`, in the place of one that is there; the graph and other metadata stay as they are.

    Args:
        to: another file to write, with the text; None: the same one.
    """
    import onnx

    model = onnx.load(path)
    entries = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != key]
    onnx.helper.set_model_props(model, {**dict(entries), key: text})
    with replacing(to or path) as temporary:
        onnx.save(model, temporary)


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a `model.onnx` carries, by key."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def set_temperature(path: Path, temperature: float) -> None:
    """Calibrates the probabilities: softmax(logits / temperature); nothing else changes."""
    import onnx

    model = onnx.load(path)
    _temperature_of(model).CopyFrom(onnx.numpy_helper.from_array(np.float32(temperature), TEMPERATURE))
    with replacing(path) as temporary:
        onnx.save(model, temporary)


def _temperature_of(model: Any) -> Any:
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == TEMPERATURE)
    return tensor


def temperature_of(path: Path) -> float:
    """Temperature that calibrates the probabilities."""
    import onnx

    return float(onnx.numpy_helper.to_array(_temperature_of(onnx.load(path))).item())
