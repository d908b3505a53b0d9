"""Listing: labelled images before any of them is opened."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eyespot.data.dataset import SkippedFile
from eyespot.errors import DataError, counted

SPLITS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class ListedImage:
    """One listed image.

    Attributes:
        file: what it is called: its path below the source, or its row in a table.
        label: the name of its class.
        split: train, validation or test.
        stamp: what changes when the image does: size and time of its file, in bytes and nanoseconds.
    """

    file: str
    label: str
    split: str = "train"
    stamp: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Listing:
    """The images of a source.

    Attributes:
        path: of the source.
        entries: its images, in an order that is the same every time.
        read: gives, for rows of `entries`, the files to open, or their content.
        skipped: what is left out, and why.
        class_names: where the source states their order, else None: they are sorted.
    """

    path: Path
    entries: Sequence[ListedImage]
    read: Callable[[Sequence[int]], Sequence[Path | bytes]]
    skipped: Sequence[SkippedFile] = ()
    class_names: tuple[str, ...] | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    def labels(self) -> set[str]:
        """Return the set of labels.

        Raises:
            DataError: there are no images.
        """
        if not self.entries:
            others = f"; left out: {counted(len(self.skipped), 'other file')}" if self.skipped else ""
            raise DataError(
                f"{self.path} holds no images{others}. Expected a folder for each class, with its images in it."
            )
        return {entry.label for entry in self.entries}


def plain(name: str) -> str:
    """A name in Unicode's composed form, so that a folder is one class whichever system wrote it."""
    return unicodedata.normalize("NFC", name)


def split_named(name: str) -> str | None:
    """The split that a folder or a table's cell means, if it means one."""
    return SPLITS.get(name.strip().lower())
