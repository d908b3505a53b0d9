"""Formats: what a run can be exported as, and what each of them has to do.

A format is one module here with an object `FORMAT`, loaded when it is asked for. Beside what it writes go
`metadata.json` and `model-card.md`, which are the same for all (`package.py`), and every export is verified before it
takes its place (`verify.py`).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from eyespot.data.dataset import Split
from eyespot.errors import ExportError, MissingExtra, unknown
from eyespot.shapes import Float32, UInt8

FORMATS = {
    "onnx": "eyespot.exporting.onnx",
    "onnx-int8": "eyespot.exporting.onnx_int8",
    "openvino": "eyespot.exporting.openvino",
    "litert": "eyespot.exporting.litert",
    "keras": "eyespot.exporting.keras",
    "web": "eyespot.exporting.web",
}

# What a converter is called in Python and on PyPI; the extra of eyespot that brings it is called as the format.
CONVERTERS = {
    "openvino": {"openvino": "openvino"},
    "litert": {"litert_torch": "litert-torch", "ai_edge_litert": "ai-edge-litert"},
}

PredictFunction = Callable[[UInt8[np.ndarray, "n height width channels"]], Float32[np.ndarray, "n classes"]]


@dataclass(frozen=True, eq=False)
class ExportSource:
    """A finished run, opened for export.

    Attributes:
        name: of the run.
        onnx: its `model.onnx`, calibrated.
        keras: its `model.keras`, not calibrated.
        temperature: what calibrates: probabilities are softmax(logits / temperature).
        class_names: one an output.
        input_shape: (height, width, channels) of its images.
        metadata: what `model.onnx` carries under `eyespot`: class_names, input, resize, appearance.
        card: the model card, as Markdown.
        validation: images to quantise by, and to verify on.
        examples: test images to publish, for formats that show some; None: none.
    """

    name: str
    onnx: Path
    keras: Path
    temperature: float
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    metadata: dict[str, Any]
    card: str
    validation: Split
    examples: Split | None = None


@runtime_checkable
class ExportFormat(Protocol):
    """One format.

    Attributes:
        name: as `export` takes it.
        inside: what the model itself does and holds, as opposed to what `metadata.json` alone says: some of
            `rescaling`, `calibration`, `class_names`, `rejection`, `card`.
    """

    name: str
    inside: tuple[str, ...]

    def write(self, source: ExportSource, folder: Path) -> None:
        """Writes the model, and all it needs, into a folder that is there.

        Raises:
            ExportError: the converter cannot express the model.
        """

    def opened(self, folder: Path) -> PredictFunction:
        """Opens an export with the program it is for, and returns a function from images to calibrated probabilities.

        Raises:
            ExportError: it does not open it.
        """


def format_named(name: str) -> ExportFormat:
    """The format of this name.

    Raises:
        ExportError: there is none.
        MissingExtra: what it takes is not installed.
    """
    if name not in FORMATS:
        raise ExportError(unknown("format", name, FORMATS))
    for module, package in CONVERTERS.get(name, {}).items():
        if find_spec(module) is None:
            raise MissingExtra(f"The format {name}", [package], name)
    export_format: ExportFormat = importlib.import_module(FORMATS[name]).FORMAT
    return export_format
