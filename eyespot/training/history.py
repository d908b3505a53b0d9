"""History: what each epoch gave, one row an epoch."""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

from eyespot.errors import RunError
from eyespot.files import replacing

EpochFigures = dict[str, float]


@dataclass(frozen=True)
class History:
    """Rows in the order of the epochs, with Keras's names.

    Each row has `epoch` (from 1), `loss`, `accuracy`, where there is validation data `val_loss` and `val_accuracy`,
    then `learning_rate`, `seconds` and `images_per_second`. Accuracies are fractions.
    """

    rows: list[EpochFigures] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        last = self.rows[-1] if self.rows else {}
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        ends = ", ".join(f"{name} {last[name]:.4f}" for name in names if name in last)
        return f"<History of {len(self)} epochs{f', at the end {ends}' if ends else ''}>"

    def _repr_html_(self) -> str:
        """Return the history as a notebook shows it: the last epochs, with the first one."""
        from eyespot.notebook import MOST_ROWS, card, table

        rows = self.rows if len(self) <= MOST_ROWS else [self.rows[0], *self.rows[1 - MOST_ROWS :]]
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = [[f"{row[name]:.4g}" if name in row else "" for name in names] for row in rows]
        return card("History", f"of {len(self):,} epochs", [table(names, cells, text_columns=0)])

    def column(self, name: str) -> list[float]:
        """One column, empty where no row has it."""
        return [row[name] for row in self.rows if name in row]

    @classmethod
    def read(cls, path: Path) -> "History":
        """Reads a `history.csv`; a last line that broke off is left out.

        Raises:
            RunError: it is damaged.
        """
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        complete = [row for row in rows if None not in row and None not in row.values()]
        try:
            return cls([{name: float(value) for name, value in row.items() if value != ""} for row in complete])
        except ValueError as error:
            raise RunError(f"{path} is damaged: {error}.") from None


@dataclass(frozen=True)
class HistoryFile:
    """Writes `history.csv` as it happens: each epoch's row is on the disk before the next epoch starts."""

    path: Path

    def start_with(self, history: History) -> None:
        """Writes the rows of a training that goes on; what it had written after them is made again."""
        with replacing(self.path) as sibling, sibling.open("w", newline="", encoding="utf-8") as file:
            if history.rows:
                writer = csv.DictWriter(file, fieldnames=list(history.rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(history.rows)

    def on_epoch(self, row: EpochFigures) -> None:
        """Appends one row, and the header before the first."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())

    def on_step(self, step: object) -> None:
        """Steps are not written."""
