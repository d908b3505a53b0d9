"""Files that are whole or not there."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Stamp = tuple[int, int, int]  # of a file: what differs when it has been replaced


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary sibling to write to; it takes `path`'s place only when the block ends well.

    Readers see the old file or the new one, never a mixture, also after a power cut: the file is synced before it is
    renamed. The sibling's name ends as the file's does, since Keras and Matplotlib choose the format by it.
    """
    sibling = path.with_name(f".tmp-{uuid.uuid4().hex}-{path.name}")
    try:
        yield sibling
        with sibling.open("rb+") as file:
            os.fsync(file.fileno())
        sibling.replace(path)
    finally:
        sibling.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file, or nothing."""
    with replacing(path) as sibling:
        sibling.write_text(text, encoding="utf-8")


def stamp_of(path: Path) -> Stamp:
    """Which file lies there now.

    Raises:
        OSError: none does.
    """
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
