"""CIFAR's binary edition (https://www.cs.toronto.edu/~kriz/cifar.html); the Python one is pickled and is not read.

A row is one label byte (CIFAR-100: a coarse and a fine one), then 1,024 red, 1,024 green and 1,024 blue bytes, each
plane row by row.
"""

import numpy as np

from eyespot.errors import DataError
from eyespot.shapes import Int64, UInt8

SIDE = 32
PIXELS = 3 * SIDE * SIDE


def parse_cifar(
    content: bytes, where: str, label_bytes: int = 1
) -> tuple[UInt8[np.ndarray, "n 32 32 3"], Int64[np.ndarray, " n"]]:
    """Pictures and labels; of several label bytes the last (CIFAR-100's fine label) counts.

    Raises:
        DataError: the file does not hold a whole number of rows.
    """
    row = label_bytes + PIXELS
    if not content or len(content) % row:
        raise DataError(
            f"{where} is truncated: {len(content):,} bytes are not a whole number of {row:,}-byte pictures."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, row)
    planes = rows[:, label_bytes:].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), rows[:, label_bytes - 1].astype(np.int64)
