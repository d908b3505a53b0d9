"""TensorBoard event files, in the layout of Keras's own callback: `train` and `validation` side by side."""

from pathlib import Path

import eyespot.backend  # noqa: F401 - before PyTorch, whose threads it has wait briefly

# isort: split
from torch.utils.tensorboard import SummaryWriter

from eyespot.training.history import EpochFigures


class EventFiles:
    """Writes each epoch's loss and accuracy as `epoch_loss` and `epoch_accuracy`.

    Args:
        purge_from: what a training that goes on had written from this epoch on is hidden.
    """

    def __init__(self, folder: Path, purge_from: int | None = None) -> None:
        self.folder, self.purge_from = folder, purge_from
        self.writers: dict[str, SummaryWriter] = {}

    def on_epoch(self, row: EpochFigures) -> None:
        """Writes one epoch."""
        for prefix, name in (("", "train"), ("val_", "validation")):
            if f"{prefix}loss" not in row:
                continue
            if name not in self.writers:
                self.writers[name] = SummaryWriter(str(self.folder / name), purge_step=self.purge_from)
            for metric in ("loss", "accuracy"):
                self.writers[name].add_scalar(f"epoch_{metric}", row[prefix + metric], int(row["epoch"]))
            self.writers[name].flush()

    def on_step(self, step: object) -> None:
        """Steps are not written."""

    def close(self) -> None:
        """Ends the files."""
        for writer in self.writers.values():
            writer.close()
