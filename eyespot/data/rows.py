"""Rows of a large array, by number: what a split of a memory-mapped dataset holds instead of a copy."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from eyespot.shapes import Int64, Shaped

AT_ONCE = 1 << 20  # bytes of pixels at a time when something is computed over all rows; as floats some times more


class Rows:
    """An array `[n, …]` that is made of `m` rows of another, in any order; read-only.

    What is taken from it is a NumPy array with a copy of the rows asked for. Behaves as an array in what a dataset
    needs: `shape`, `ndim`, `dtype`, `nbytes`, `len`, indexing, iteration, and `np.asarray`, which copies all.

    Args:
        base: usually a `np.memmap`.
        index: rows of `base`.
    """

    def __init__(self, base: Shaped[np.ndarray, "..."], index: Int64[np.ndarray, " m"]) -> None:
        self.base, self.index = base, index

    def __repr__(self) -> str:
        return f"Rows({len(self):,} of {len(self.base):,}, {self.dtype}, {list(self.shape)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self.index), *self.base.shape[1:])

    @property
    def ndim(self) -> int:
        """As of an array."""
        return self.base.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of an array."""
        return self.base.dtype

    @property
    def nbytes(self) -> int:
        """Of all rows, were they copied."""
        return len(self) * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Of one row."""
        return int(np.prod(self.base.shape[1:], dtype=np.int64)) * self.base.dtype.itemsize

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> Any:
        """A copy of one row, or of the rows that a slice, an array of numbers or a mask names."""
        rows: Shaped[np.ndarray, ...] = np.asarray(self.base[self.index[key]])
        return rows

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[np.ndarray, "..."]:
        if copy is False:
            raise ValueError("Rows of another array cannot be an array without a copy.")
        whole: Shaped[np.ndarray, ...] = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def take(self, rows: Int64[np.ndarray, " k"]) -> "Rows":
        """Rows of these rows, again without a copy."""
        return Rows(self.base, self.index[rows])


def chunks(images: Shaped[np.ndarray, "..."] | Rows) -> Iterator[Shaped[np.ndarray, "..."]]:
    """All rows in order, a few megabytes at a time, so that memory stays flat."""
    row_bytes = max(1, images.nbytes // max(1, len(images)))
    step = max(1, AT_ONCE // row_bytes)
    return (np.asarray(images[start : start + step]) for start in range(0, len(images), step))
