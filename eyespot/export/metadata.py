"""More metadata in a `model.onnx` that is there already."""

from pathlib import Path

import onnx

from eyespot.files import replacing


def add_metadata(path: Path, key: str, text: str) -> None:
    """Writes a text under `key`, in the place of one that is there; the graph and other metadata stay as they are."""
    model = onnx.load(path)
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != key]
    onnx.helper.set_model_props(model, {**dict(kept), key: text})
    with replacing(path) as temporary:
        onnx.save(model, temporary)
