"""Weights on the disk as training goes on, so that nothing already computed is lost."""

from pathlib import Path

from eyespot.backend import keras
from eyespot.files import replacing
from eyespot.training.history import Row


class Checkpoints:
    """After each epoch, `last.weights.h5`; after an epoch with the lowest validation loss so far, `best.weights.h5`."""

    def __init__(self, model: keras.Model, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model = model
        self.folder = folder
        self.lowest = float("inf")

    def on_epoch(self, row: Row) -> None:
        """Writes what has changed."""
        self._save("last")
        if row.get("val_loss", self.lowest) < self.lowest:
            self.lowest = row["val_loss"]
            self._save("best")

    def on_step(self, step: object) -> None:
        """Nothing is written between epochs."""

    def _save(self, name: str) -> None:
        with replacing(self.folder / f"{name}.weights.h5") as path:
            self.model.save_weights(path)
