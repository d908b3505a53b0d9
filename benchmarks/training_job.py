"""For `training.py`: the job that every peer's process reads from a folder, and what a peer is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

PREDICT_BATCH = 500  # eyespot's own for evaluation; Keras's default of 32 would be slower
CHECKED = 32  # images whose probabilities are compared


@dataclass(frozen=True)
class Job:
    """A network and how it is trained.

    Attributes:
        config: the model as `to_json` writes it; it takes `uint8` pixels and ends in softmax.
        weights: as `get_weights` gives them.
        parameters: how many numbers they hold.
        products: its convolutions and matrix products, in order.
        images: training images, `uint8` [n, height, width, channels]; labels [n].
        unseen: images to predict.
    """

    config: str
    weights: list[np.ndarray]
    parameters: int
    products: list[dict[str, Any]]
    classes: int
    batch: int
    optimizer: str
    images: np.ndarray
    labels: np.ndarray
    unseen: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Job":
        """Read the folder that `training_networks.write_job` wrote."""
        settings = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        data = Path(settings.pop("data"))
        with np.load(folder / "weights.npz") as stored:
            weights = [stored[name] for name in stored.files]
        arrays = {name: np.load(data / f"{name}.npy") for name in ("images", "labels", "unseen")}
        return cls(weights=weights, **settings, **arrays)


class Peer(Protocol):
    """One way to train the network; made with everything imported and the model built.

    Not every peer can do everything: `training_peers.Entry.has`.
    """

    def start(self) -> None:
        """Compile whatever is compiled, and make the first step."""

    def train(self, steps: int, epochs: int = 1) -> float:
        """Train epochs of that many batches, shuffled, with loss and accuracy; return the seconds of all of them."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities [n, classes] in inference form."""

    def restore(self) -> None:
        """Put the job's weights back."""
