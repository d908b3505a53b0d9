"""A model that is served: what is loaded of it, and what it was loaded from."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.data.dataset import RowView
from eyespot.errors import ModelError, RunError
from eyespot.files import Stamp, stamp_of
from eyespot.inference.predictor import Predictor
from eyespot.serving.corrections import Corrections
from eyespot.serving.limits import ServerLimits
from eyespot.shapes import Int64, UInt8

MODEL, CARD = "model.onnx", "model-card.md"


@dataclass(frozen=True, eq=False)
class Examples:
    """Pictures of a test set at the model's size, with their labels; a note says what to know of them."""

    images: UInt8[np.ndarray, "n height width channels"] | RowView
    labels: Int64[np.ndarray, " n"]
    note: str | None = None


@dataclass(frozen=True)
class Offer:
    """What is to be served.

    Attributes:
        name: in addresses.
        folder: a run, or any folder with a model.onnx by eyespot.
        corrections: where corrections are kept; None: they are not taken.
        examples: loads pictures of the test set, which may take seconds; None: there are none.
    """

    name: str
    folder: Path
    corrections: Path | None = None
    examples: Callable[[], Examples] | None = None


class Loaded:
    """A model as it was when it was opened, which has answered pictures of its own kind.

    Args:
        seconds: that each of these answers may take.

    Raises:
        ModelError: its file is missing, damaged, or not by eyespot, or it cannot answer.
    """

    def __init__(self, path: Path, stamp: Stamp, seconds: float) -> None:
        self.predictor = Predictor(path, threads=1)  # requests share the cores
        self.predictor.try_out(seconds)
        self.stamp = stamp
        self.since = datetime.now(UTC)

    @cached_property
    def rejects(self) -> bool:
        """Whether it can tell pictures that are none of its classes."""
        try:
            return bool(self.predictor.rejection)
        except ModelError:
            return False


@dataclass(eq=False)
class Served:
    """An offer, with the model that is loaded now; requests keep the one they began with.

    Attributes:
        refused: why the file that lies there now is not served; None where it is.
    """

    offer: Offer
    now: Loaded
    corrections: Corrections | None = None
    examples: "asyncio.Task[Examples] | None" = None
    refused: str | None = None

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.offer.folder / MODEL

    def card(self) -> str | None:
        """The model card, Markdown, from the model or from beside it; None where there is none."""
        inside = self.now.predictor.card
        if inside is not None:
            return inside
        file = self.offer.folder / CARD
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    def describe(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        predictor = self.now.predictor
        height, width, channels = predictor.input_shape
        looks = predictor.appearance
        return {
            "name": self.offer.name,
            "classes": list(predictor.class_names),
            "input": {"height": height, "width": width, "channels": channels},
            "resize": predictor.resize,
            "appearance": looks.to_dict() if looks else None,
            "rejects": self.now.rejects,
            "corrections": self.corrections is not None,
            "card": self.card() is not None,
            "loaded": self.now.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "refused": self.refused,
        }


def load(offer: Offer, limits: ServerLimits) -> Served:
    """Opens what is offered.

    Raises:
        RunError: there is no such folder, or no model in it.
        ModelError: as of `Loaded`.
    """
    path = offer.folder / MODEL
    if not offer.folder.is_dir():
        raise RunError(f"There is no run or export at {offer.folder}: name a folder with a {MODEL}.")
    try:
        stamp = stamp_of(path)
    except OSError:
        raise RunError(
            f"{offer.folder} has no {MODEL}: name a finished run, or an export of the format onnx."
        ) from None
    kept = Corrections(offer.corrections, limits.corrections) if offer.corrections else None
    return Served(offer, Loaded(path, stamp, limits.work_seconds), kept)
