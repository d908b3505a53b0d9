"""IDX: the format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist/, "file formats").

Two zero bytes, a byte for the element type, a byte for the number of dimensions, each dimension as a big-endian
32-bit integer, then the elements, row by row.
"""

import math

import numpy as np

from eyespot.errors import DataError
from eyespot.shapes import Int64, Shaped, UInt8

ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IMAGE_RANK = 3


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


def parse_images(content: bytes, where: str) -> UInt8[np.ndarray, "n height width 1"]:
    """Grey pictures.

    Raises:
        DataError: as `parse_idx`, or the elements are not bytes in three dimensions.
    """
    array = parse_idx(content, where)
    if array.ndim != IMAGE_RANK or array.dtype != np.uint8:
        raise DataError(
            f"{where} holds no pictures: expected bytes in 3 dimensions; received {array.dtype} in {array.ndim}."
        )
    return array[..., np.newaxis]


def parse_labels(content: bytes, where: str) -> Int64[np.ndarray, " n"]:
    """Labels.

    Raises:
        DataError: as `parse_idx`, or the elements are not integers in one dimension.
    """
    array = parse_idx(content, where)
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise DataError(
            f"{where} holds no labels: expected integers in 1 dimension; received {array.dtype} in {array.ndim}."
        )
    return array.astype(np.int64)
