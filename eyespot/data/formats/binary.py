"""Binary formats of published datasets: IDX and CIFAR.

IDX is the format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist/, "file formats"): two zero bytes, a byte
for the element type, a byte for the number of dimensions, each dimension as a big-endian 32-bit integer, then the
elements, row by row. Files of anybody's own are found as `*-images-idx3-ubyte` with `*-labels-idx1-ubyte` of the same
stem, plain or gzipped.

CIFAR's binary edition (https://www.cs.toronto.edu/~kriz/cifar.html; the Python one is pickled and is not read): a row
is one label byte (CIFAR-100: a coarse and a fine one), then 1,024 red, 1,024 green and 1,024 blue bytes, each plane row
by row.
"""

import math
from pathlib import Path

import numpy as np

from eyespot.data.download import read_plain
from eyespot.data.formats.arrays import ImagesWithClassNames, as_images_and_labels
from eyespot.data.formats.listing import split_named
from eyespot.errors import DataError
from eyespot.shapes import Int64, Shaped, UInt8

ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IMAGE_RANK = 3
SIDE = 32
PIXELS = 3 * SIDE * SIDE
TEST_STEM = "t10k"  # as MNIST calls it


def parse_cifar(
    content: bytes, where: str, label_bytes: int = 1
) -> tuple[UInt8[np.ndarray, "n 32 32 3"], Int64[np.ndarray, " n"]]:
    """Pictures and labels; of several label bytes the last (CIFAR-100's fine label) counts.

    Raises:
        DataError: the file does not hold a whole number of rows.
    """
    row = label_bytes + PIXELS
    if not content or len(content) % row:
        raise DataError(f"{where} is truncated: {len(content):,} bytes are not a whole number of {row:,}-byte images.")
    rows = np.frombuffer(content, np.uint8).reshape(-1, row)
    planes = rows[:, label_bytes:].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), rows[:, label_bytes - 1].astype(np.int64)


def idx_images(path: Path) -> list[Path]:
    """The files of images that a path means: itself, or those in a folder; none where there are no such files."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if "images" in file.name and "idx3" in file.name and file.is_file()]


def read_idx_pairs(images: list[Path]) -> dict[str, ImagesWithClassNames]:
    """Labelled images by split, which a stem names: `train`, `t10k` or `test`, `val`; a single pair is for training.

    Raises:
        DataError: labels are missing, a file is damaged, or two pairs are of the same split.
    """
    pairs: dict[str, ImagesWithClassNames] = {}
    for path in images:
        labels_path = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
        spellings = (
            labels_path,
            labels_path.with_name(labels_path.name.removesuffix(".gz")),
            labels_path.with_name(labels_path.name + ".gz"),
        )
        labels = next((file for file in spellings if file.is_file()), None)
        if labels is None:
            raise DataError(f"{path} has no labels beside it: expected {labels_path}.")
        stem = path.name.partition("images")[0].rstrip("-_.")
        split = "test" if TEST_STEM in stem else _split(stem)
        if len(images) == 1:
            split = "train"
        if split in pairs:
            raise DataError(f"{path.parent} holds two sets of {split} images: name one file of images instead.")
        pair = parse_idx_pair((read_plain(path), str(path)), (read_plain(labels), str(labels)))
        pairs[split] = as_images_and_labels(*pair, str(path))
    return pairs


def _split(stem: str) -> str:
    parts = stem.replace("-", "_").replace(".", "_").split("_")
    return next((split for part in parts if (split := split_named(part))), "train")


def parse_idx_pair(
    images: tuple[bytes, str], labels: tuple[bytes, str]
) -> tuple[UInt8[np.ndarray, "n height width 1"], Int64[np.ndarray, " n"]]:
    """Grey images with their labels, from two files, each given as its content and where it lies.

    Raises:
        DataError: a file is damaged, or they do not belong together.
    """
    pixels, numbers = parse_images(*images), parse_labels(*labels)
    if len(pixels) != len(numbers):
        raise DataError(
            f"{images[1]} holds {len(pixels):,} images and {labels[1]} {len(numbers):,} labels: "
            "they do not belong together."
        )
    return pixels, numbers


def parse_images(content: bytes, where: str) -> UInt8[np.ndarray, "n height width 1"]:
    """Parse the greyscale images of an IDX file.

    Raises:
        DataError: as `parse_idx`, or the elements are not bytes in three dimensions.
    """
    array = parse_idx(content, where)
    if array.ndim != IMAGE_RANK or array.dtype != np.uint8:
        raise DataError(
            f"{where} holds no images: expected bytes in 3 dimensions; received {array.dtype} in {array.ndim}."
        )
    return array[..., np.newaxis]


def parse_idx(content: bytes, where: str) -> Shaped[np.ndarray, "..."]:
    """The array that `content` holds.

    Args:
        where: the file's name, for the error.

    Raises:
        DataError: it is no IDX file, or is longer or shorter than its header says.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in ELEMENT_TYPES:  # noqa: PLR2004 - the header
        raise DataError(f"{where} is not an IDX file (its first bytes are {content[:4].hex(' ') or 'missing'}).")
    dtype, rank = np.dtype(ELEMENT_TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{where} is truncated: it ends within its header.")
    shape = tuple(int(side) for side in np.frombuffer(content, ">u4", rank, offset=4))
    expected = start + dtype.itemsize * math.prod(shape)
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "too long"
        raise DataError(
            f"{where} is {fault}: its header promises {shape} elements, {expected:,} bytes in all; "
            f"received {len(content):,}. Delete it and fetch it again."
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def parse_labels(content: bytes, where: str) -> Int64[np.ndarray, " n"]:
    """Parse the labels of an IDX file.

    Raises:
        DataError: as `parse_idx`, or the elements are not integers in one dimension.
    """
    array = parse_idx(content, where)
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise DataError(
            f"{where} holds no labels: expected integers in 1 dimension; received {array.dtype} in {array.ndim}."
        )
    return array.astype(np.int64)
