"""The cache: one folder for a set of pictures read in one way, holding a map of their pixels.

    pixels.npy        uint8 [n, height, width, channels], a row for each picture, in the listing's order
    journal.jsonl     while it is being made: what was found in each chunk whose pixels are written
    pictures.json     once it is complete: width, height, frames and fault of each picture

The folder's name is a hash of everything that the pixels depend on: paths, sizes and times of the files, and how they
were read. So a changed file makes another cache, and an unchanged one is not opened again. Decoding that was
interrupted goes on where it was. Of all that lies below EYESPOT_CACHE, only these files of this folder are written, and
the journal alone is removed.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from eyespot.data.cache.decode import CHUNK, Found, decode_into
from eyespot.data.cache.journal import Journal
from eyespot.data.cache.share import shared_work
from eyespot.data.picture import Form
from eyespot.data.shelf import cache_directory
from eyespot.data.sources.listing import Listing
from eyespot.errors import DataError
from eyespot.files import write_text
from eyespot.shapes import Int64, Shaped

VERSION = 2  # of how pictures are read: another one reads all anew
COMPLETE, JOURNAL = "pictures.json", "journal.jsonl"

Told = list[list[int | str | None]]


@dataclass(frozen=True)
class Cached:
    """Decoded pictures.

    Attributes:
        pixels: `uint8 [n, height, width, channels]`, mapped; 0 where a picture could not be read.
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
    form: Form,
    progress: Callable[[int], None],
) -> Cached:
    """The pixels of a listing's pictures, decoded now or before.

    Args:
        form: what they are brought to.
        progress: told how many pictures are done.

    Raises:
        DataError: the disk has no room for them.
        OSError: they cannot be written.
    """
    folder = cache_directory().parent / "pictures" / _key(listing, form)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / COMPLETE).exists():
            _decode(folder, listing, form, progress)
    told: Told = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
    return Cached(
        np.load(folder / "pixels.npy", mmap_mode="r"),
        {row: str(fault) for row, (_, _, _, fault) in enumerate(told) if fault is not None},
        np.array([[height, width] for width, height, _, _ in told], np.int64).reshape(-1, 2),
        sum(1 for _, _, frames, _ in told if isinstance(frames, int) and frames > 1),
    )


def _key(listing: Listing, form: Form) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, asdict(form)]).encode())
    digest.update(str(listing.path.resolve()).encode(errors="surrogateescape"))
    for entry in listing.entries:
        digest.update(f"\0{entry.file}\0{entry.stamp}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _decode(folder: Path, listing: Listing, form: Form, progress: Callable[[int], None]) -> None:
    """Fills the folder; chunks that were finished before are left as they are."""
    total, row_bytes = len(listing.entries), int(np.prod(form.shape))
    pixels = folder / "pixels.npy"
    data_starts = _make_room(pixels, (total, *form.shape))
    with Journal(folder / JOURNAL, pixels) as journal:
        missing = [start for start in range(0, total, CHUNK) if start not in journal.chunks]
        ready = sum(len(found) for found in journal.chunks.values())

        def decode(number: int) -> Found:
            start = missing[number]
            sources = listing.read(range(start, min(start + CHUNK, total)))
            return decode_into(pixels, data_starts + start * row_bytes, sources, form)

        for number, found in shared_work(decode, len(missing)):
            journal.add(missing[number], found)
            ready += len(found)
            progress(ready)
    told = [picture for start in sorted(journal.chunks) for picture in journal.chunks[start]]
    write_text(folder / COMPLETE, json.dumps(told))
    (folder / JOURNAL).unlink()


def _make_room(path: Path, shape: tuple[int, ...]) -> int:
    """Makes the array's file, if it is not there, at its full size; returns the byte that the data begins at."""
    size = int(np.prod(shape, dtype=np.int64))
    if not path.exists():
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise DataError(
                f"The pixels of {shape[0]:,} pictures take {size / 1e9:,.1f} GB, but {path.parent} has "
                f"{free / 1e9:,.1f} GB left: make room, choose a smaller --size, or set EYESPOT_CACHE to another disk."
            )
        unfinished = path.with_suffix(".new")
        np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        unfinished.rename(path)
    return path.stat().st_size - size
