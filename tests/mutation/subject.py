"""Subject: a kind of file that is mutated, who reads it, and whether what was read is right."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Parts = dict[str, bytes]


@dataclass(frozen=True)
class Subject:
    """A kind of file, or of folder.

    Attributes:
        name: of the file or folder.
        parts: its bytes before any mutation, by part; one of them is mutated.
        write: puts parts together at a path.
        read: what is under test; it may raise an EyespotError.
        right: whether what was read is right, where so many bytes of a part were changed.
    """

    name: str
    parts: Callable[[], Parts]
    write: Callable[[Path, Parts], None]
    read: Callable[[Path], Any]
    right: Callable[[Any, str, int], bool]


def write_file(path: Path, parts: Parts) -> None:
    """A file of one part."""
    path.write_bytes(next(iter(parts.values())))


def write_folder(path: Path, parts: Parts) -> None:
    """A file for each part."""
    path.mkdir(exist_ok=True)
    for name, data in parts.items():
        (path / name).write_bytes(data)
