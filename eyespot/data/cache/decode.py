"""Decoding pictures, a chunk at a time, in other processes where there are many."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from eyespot.data.picture import Form, Header, Limits, read_header, read_with_header
from eyespot.errors import PictureError

CHUNK = 256  # pictures that are handed over at once, and written down as done
WORTH_PROCESSES = 2_000  # fewer are decoded sooner than processes start

Result = TypeVar("Result")
Chunk = Sequence[Path | bytes]


def in_parallel(work: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], pictures: int) -> Iterator[Result]:
    """What `work` makes of each task, in their order; tasks are drawn as they are needed.

    Args:
        work: a function of a module, whose arguments and result can be sent to another process.
        pictures: how many there are in all; a few are not worth starting processes for.
    """
    workers = os.cpu_count() or 1
    if pictures < WORTH_PROCESSES or workers == 1:
        yield from (work(*task) for task in tasks)
        return
    # Processes of joblib's, which, unlike the standard library's, do not run a user's script a second time.
    try:
        yield from Parallel(workers, return_as="generator", batch_size=1)(delayed(work)(*task) for task in tasks)
    finally:
        get_reusable_executor().shutdown(wait=True)


def headers(sources: Chunk, limits: Limits) -> list[Header | None]:
    """Of each picture, or None where it cannot be opened."""
    found: list[Header | None] = []
    for source in sources:
        try:
            found.append(read_header(source, "", limits))
        except PictureError:
            found.append(None)  # its pixels will not be read either, and the reason be told then
    return found


def decode_into(file: str, start: int, sources: Chunk, form: Form) -> list[tuple[int, int, int, str | None]]:
    """Decodes pictures and writes their pixels into a file.

    Args:
        file: which has room for them.
        start: byte at which the first one's pixels begin.
        form: what they are brought to.

    Returns:
        Of each: width, height and frames of the picture as it is stored, and why it could not be read; None where it
        could. Of one that cannot be read, the pixels are 0.

    Raises:
        OSError: they cannot be written.
    """
    pixels = np.zeros((len(sources), *form.shape), np.uint8)
    told: list[tuple[int, int, int, str | None]] = []
    for row, source in enumerate(sources):
        try:
            pixels[row], header = read_with_header(source, form, "it")
        except PictureError as error:
            told.append((0, 0, 0, str(error).rstrip(".")))
        else:
            told.append((header.width, header.height, header.frames, None))
    with Path(file).open("rb+") as opened:
        opened.seek(start)
        opened.write(pixels.data)
        opened.flush()
        os.fsync(opened.fileno())  # before the chunk is written down as done
    return told
