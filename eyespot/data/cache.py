"""The cache: decoded pixels of a listing's image files on disk, which training maps into memory.

    pixels.npy        uint8 [n, height, width, channels], a row for each image, in the listing's order
    journal.jsonl     while it is being made: what was found in each chunk whose pixels are written
    pictures.json     once it is complete: width, height, frames and fault of each image

The folder's name is a hash of everything that the pixels depend on: paths, sizes and times of the files, and how they
were read. So a changed file makes another cache, and an unchanged one is not opened again. Decoding that was
interrupted goes on where it was. Of all that lies below EYESPOT_CACHE, only these files of this folder are written, and
the journal alone is removed.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from filelock import FileLock

from eyespot.data.download import cache_directory
from eyespot.data.formats.listing import Listing
from eyespot.data.parallel import map_in_processes
from eyespot.data.picture import InputForm, Limits, PictureHeader, read_header, read_with_header
from eyespot.errors import DataError, PictureError
from eyespot.files import replacing, write_text
from eyespot.shapes import Int64, Shaped

CHUNK = 64  # images that are decoded at once, and written down as done
FileChunk = Sequence[Path | bytes]
ChunkFacts = list[tuple[int, int, int, str | None]]
SYNC_SECONDS = 0.5
VERSION = 2  # of how images are read: another one reads all anew
COMPLETE, JOURNAL = "pictures.json", "journal.jsonl"
StoredFacts = list[list[int | str | None]]


def read_headers(sources: FileChunk, limits: Limits) -> list[PictureHeader | None]:
    """Return the header of each image; None where it cannot be opened."""
    headers: list[PictureHeader | None] = []
    for source in sources:
        try:
            headers.append(read_header(source, "", limits))
        except PictureError:
            headers.append(None)  # reading its pixels will fail too and give the reason
    return headers


@dataclass(frozen=True)
class CachedPixels:
    """The pixels of decoded images.

    Attributes:
        pixels: `uint8 [n, height, width, channels]`, mapped; 0 where an image could not be read.
        faults: why, by row.
        sizes: `[n, 2]`: height and width as stored; 0 where it could not be read.
        animated: how many hold several frames, of which the first was taken.
    """

    pixels: Shaped[np.ndarray, "n height width channels"]
    faults: dict[int, str]
    sizes: Int64[np.ndarray, "n 2"]
    animated: int


def cached_pixels(
    listing: Listing,
    form: InputForm,
    progress: Callable[[int], None],
) -> CachedPixels:
    """The pixels of a listing's images, decoded now or before.

    Args:
        form: what they are brought to.
        progress: called with the number of images done.

    Raises:
        DataError: the disk has no room for them.
        OSError: they cannot be written.
    """
    folder = cache_directory().parent / "pictures" / _key(listing, form)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / COMPLETE).exists():
            _decode(folder, listing, form, progress)
    facts: StoredFacts = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
    return CachedPixels(
        np.load(folder / "pixels.npy", mmap_mode="r"),
        {row: str(fault) for row, (_, _, _, fault) in enumerate(facts) if fault is not None},
        np.array([[height, width] for width, height, _, _ in facts], np.int64).reshape(-1, 2),
        sum(1 for _, _, frames, _ in facts if isinstance(frames, int) and frames > 1),
    )


def _key(listing: Listing, form: InputForm) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, asdict(form)]).encode())
    digest.update(str(listing.path.resolve()).encode(errors="surrogateescape"))
    for entry in listing.entries:
        digest.update(f"\0{entry.file}\0{entry.stamp}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _decode(folder: Path, listing: Listing, form: InputForm, progress: Callable[[int], None]) -> None:
    """Fill the folder; chunks that were finished before are left as they are."""
    total, row_bytes = len(listing.entries), int(np.prod(form.shape))
    pixels = folder / "pixels.npy"
    data_starts = _make_room(pixels, (total, *form.shape))
    with Journal(folder / JOURNAL, pixels) as journal:
        missing = [start for start in range(0, total, CHUNK) if start not in journal.chunks]
        ready = sum(len(chunk_facts) for chunk_facts in journal.chunks.values())

        def decode(number: int) -> ChunkFacts:
            start = missing[number]
            sources = listing.read(range(start, min(start + CHUNK, total)))
            return decode_into(pixels, data_starts + start * row_bytes, sources, form)

        for number, chunk_facts in map_in_processes(decode, len(missing)):
            journal.add(missing[number], chunk_facts)
            ready += len(chunk_facts)
            progress(ready)
    facts = [picture for start in sorted(journal.chunks) for picture in journal.chunks[start]]
    write_text(folder / COMPLETE, json.dumps(facts))
    (folder / JOURNAL).unlink()


def _make_room(path: Path, shape: tuple[int, ...]) -> int:
    """Make the array's file, if it is not there, at its full size; return the byte that the data begins at."""
    size = int(np.prod(shape, dtype=np.int64))
    if not path.exists():
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise DataError(
                f"The pixels of {shape[0]:,} images take {size / 1e9:,.1f} GB, but {path.parent} has "
                f"{free / 1e9:,.1f} GB left: make room, choose a smaller `pictures.size`, or set EYESPOT_CACHE to "
                "another disk."
            )
        with replacing(path) as unfinished:
            np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
    return path.stat().st_size - size


class Journal:
    """A line for each chunk, written only once its pixels are on the disk, also after a power cut.

    Args:
        path: of the journal; lines that are there are read, a last one that is cut short is taken away.
        pixels: the file whose chunks it tells of.

    Attributes:
        chunks: what was found in each, by the row it starts with.
    """

    def __init__(self, path: Path, pixels: Path) -> None:
        self.chunks: dict[int, ChunkFacts] = {}
        self._file, self._pixels = path.open("ab+"), pixels
        self._unwritten: list[bytes] = []
        self._synced = time.monotonic()
        self._file.seek(0)
        length = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            start, facts = json.loads(line)
            self.chunks[start] = facts
            length += len(line)
        self._file.truncate(length)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sync()
        self._file.close()

    def add(self, start: int, found: ChunkFacts) -> None:
        """Take down a chunk whose pixels have been written."""
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


def decode_into(file: Path, start: int, sources: FileChunk, form: InputForm) -> ChunkFacts:
    """Decode images and write their pixels into a file.

    Args:
        file: which has room for them.
        start: byte at which the first one's pixels begin.
        form: what they are brought to.

    Returns:
        Of each: width, height and frames of the image as it is stored, and why it could not be read; None where it
        could. Of one that cannot be read, the pixels are 0.

    Raises:
        OSError: they cannot be written.
    """
    pixels = np.zeros((len(sources), *form.shape), np.uint8)
    facts: ChunkFacts = []
    for row, source in enumerate(sources):
        try:
            pixels[row], header = read_with_header(source, form, "it")
        except PictureError as error:
            facts.append((0, 0, 0, str(error).rstrip(".")))
        else:
            facts.append((header.width, header.height, header.frames, None))
    with file.open("rb+") as stream:
        stream.seek(start)
        stream.write(pixels.data)
    return facts
