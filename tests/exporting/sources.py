"""What tests of exports need: a source made of a run and its pictures."""

import json
from dataclasses import replace

from eyespot.data.dataset import Dataset
from eyespot.exporting.formats import ExportSource
from eyespot.inference.metadata import read_metadata, temperature_of
from eyespot.run import Run


def source_of(run: Run, dataset: Dataset, names: tuple[str, ...] | None = None) -> ExportSource:
    """As the workflow gathers it, with the test images to verify on; or with other class names."""
    path = run.file("model.onnx")
    texts = read_metadata(path)
    metadata = json.loads(texts["eyespot"])
    assert dataset.test is not None
    made = ExportSource(
        name=run.name,
        onnx=path,
        keras=run.file("model.keras"),
        temperature=temperature_of(path),
        class_names=tuple(metadata["class_names"]),
        input_shape=(8, 8, 1),
        metadata=metadata,
        card=texts["eyespot.card"],
        validation=dataset.test,
    )
    return replace(made, class_names=names, metadata=metadata | {"class_names": list(names)}) if names else made
