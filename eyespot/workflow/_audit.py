"""The audit of a dataset: what may be wrong with it, as data and in sentences."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console

from eyespot.data.audit.balance import WORTH_SAYING, describe_balance
from eyespot.data.audit.duplicates import Pair, find_duplicates
from eyespot.data.audit.oddities import Oddity, find_oddities
from eyespot.data.dataset import Dataset, Skipped
from eyespot.errors import DataError
from eyespot.evaluation.label_errors import Suspects
from eyespot.workflow._suspects import suspects_in

LISTED = 1_000  # suspects in JSON at least; more where more are estimated to be wrong
SHARE_LISTED = 0.1


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        dataset: which was looked at.
        duplicates: pairs of the same picture, leaks first.
        oddities: pictures that stand out.
        balance: counts, missing classes, imbalance, as plain values.
        suspects: training pictures by how suspect their labels are; None where labels were not checked.
        unchecked: why they were not.
    """

    dataset: Dataset
    duplicates: list[Pair]
    oddities: list[Oddity]
    balance: dict[str, Any]
    suspects: Suspects | None
    unchecked: str | None = None

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that could not be read, or are no pictures."""
        return self.dataset.origin.skipped if self.dataset.origin else ()

    @property
    def leaks(self) -> list[Pair]:
        """Pictures that lie in two splits."""
        return [pair for pair in self.duplicates if pair.leaks]

    def sentences(self) -> list[str]:
        """What a user should know, the gravest first; none where nothing is wrong."""
        told = []
        if self.skipped:
            first = self.skipped[0]
            told.append(f"{len(self.skipped):,} files are left out, such as {first.file}: {first.reason}.")
        if leaks := self.leaks:
            exact = sum(pair.kind == "exact" for pair in leaks)
            told.append(
                f"{len(leaks):,} pairs of the same picture lie in two splits, {exact:,} of them exactly equal: results "
                "on these are too good. --drop-leaks leaves them out of training."
            )
        if within := len(self.duplicates) - len(leaks):
            told.append(f"{within:,} pairs of pictures within a split are the same.")
        for split, names in self.balance["missing"].items():
            told.append(f"No {split} picture shows {', '.join(map(repr, names[:5]))}{', …' if len(names) > 5 else ''}.")  # noqa: PLR2004
        if self.balance["imbalance"] > WORTH_SAYING:
            told.append(
                f"The largest class has {self.balance['imbalance']:.1f} times as many training pictures as the "
                "smallest: --class-weights balanced makes up for it."
            )
        if self.oddities:
            told.append(f"{len(self.oddities):,} pictures stand out, the first for being {self.oddities[0].reason}.")
        if self.suspects and self.suspects.estimated:
            told.append(f"Some {self.suspects.estimated:,} training labels look wrong.")
        if self.unchecked:
            told.append(self.unchecked)
        return told

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "skipped": [{"file": skipped.file, "reason": skipped.reason} for skipped in self.skipped],
            "duplicates": [pair.to_dict(self.dataset) for pair in self.duplicates],
            "oddities": [oddity.to_dict(self.dataset) for oddity in self.oddities],
            "balance": self.balance,
            "suspects": None if self.suspects is None else self._suspects(self.suspects),
            "findings": self.sentences(),
        }

    def _suspects(self, suspects: Suspects) -> dict[str, Any]:
        train, names = self.dataset.train, self.dataset.class_names
        number = max(LISTED, suspects.estimated, int(SHARE_LISTED * len(train)))
        ranked = zip(suspects.rows[:number], suspects.margins, suspects.suggested, strict=False)
        return {
            "estimated": suspects.estimated,
            "ranked": [
                {
                    "row": int(row),
                    "file": train.files[row] if train.files else None,
                    "label": names[int(train.labels[row])],
                    "suggested": names[int(suggested)],
                    "margin": round(float(margin), 4),
                }
                for row, margin, suggested in ranked
            ],
        }


def audit(dataset: Dataset, console: Console, *, labels: bool = True, within: bool = True) -> Audit:
    """Looks for what may be wrong with a dataset.

    Args:
        console: where progress is shown.
        labels: check them too, for which small networks are trained, a minute or two for 60,000 pictures.
        within: look for the same picture twice within a split, too, not only in two.
    """
    suspects, unchecked = None, None
    if labels:
        try:
            suspects = suspects_in(dataset, console)
        except DataError as error:
            unchecked = str(error)
    pairs = find_duplicates(dataset, within=within)
    return Audit(dataset, pairs, find_oddities(dataset), describe_balance(dataset), suspects, unchecked)
