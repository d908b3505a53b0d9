"""What of a map is decoded already: a file of JSON lines, which an interruption leaves as good as it is."""

import json
import os
import time
from pathlib import Path
from types import TracebackType

from eyespot.data.cache.decode import Found

SYNC_SECONDS = 0.5


class Journal:
    """A line for each chunk, written only once its pixels are on the disk, also after a power cut.

    Args:
        path: of the journal; lines that are there are read, a last one that is cut short is taken away.
        pixels: the file whose chunks it tells of.

    Attributes:
        chunks: what was found in each, by the row it starts with.
    """

    def __init__(self, path: Path, pixels: Path) -> None:
        self.chunks: dict[int, Found] = {}
        self._file, self._pixels = path.open("ab+"), pixels
        self._unwritten: list[bytes] = []
        self._synced = time.monotonic()
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            start, found = json.loads(line)
            self.chunks[start] = found
            whole += len(line)
        self._file.truncate(whole)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sync()
        self._file.close()

    def add(self, start: int, found: Found) -> None:
        """Takes down a chunk whose pixels have been written."""
        self.chunks[start] = found
        self._unwritten.append(json.dumps([start, found]).encode() + b"\n")
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        with self._pixels.open("rb+") as pixels:
            os.fsync(pixels.fileno())
        self._file.write(b"".join(self._unwritten))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unwritten.clear()
        self._synced = time.monotonic()
