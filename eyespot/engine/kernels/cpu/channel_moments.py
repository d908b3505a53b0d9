"""Mean and variance a channel, for batch normalisation."""

from typing import Any

import numpy as np
from numba import prange

from eyespot.engine.kernels.cpu.numba_support import compiled, f32, read

BLOCK = 64  # rows that are summed in float32 before they join a sum in float64


@compiled
def centred_sums(rows: Any, centre: Any, power: Any, sums: Any) -> None:
    """Sums over the rows [n, channels] of (value - centre), or of its square where `power` is 2.

    Args:
        centre: float32 [channels].
        sums: float64 [chunks, channels], written: each chunk of the rows' sum.
    """
    count, channels = rows.shape
    chunks = len(sums)
    share = (count + chunks - 1) // chunks
    for chunk in prange(chunks):
        total, partial = sums[chunk], np.empty(channels, np.float32)
        total[:] = 0
        end = min(count, (chunk + 1) * share)
        for start in range(chunk * share, end, BLOCK):
            partial[:] = f32(0)
            for n in range(start, min(end, start + BLOCK)):
                row = rows[n]
                for c in range(channels):
                    distance = read(row[c]) - centre[c]
                    partial[c] += distance if power == 1 else distance * distance
            for c in range(channels):
                total[c] += partial[c]


def moments(rows: np.ndarray, chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and (biased) variance of each channel, float32, in two passes: one would cancel where the mean is large."""
    sums = np.empty((chunks, rows.shape[1]))
    centred_sums(rows, np.zeros(rows.shape[1], np.float32), 1, sums)
    mean = (sums.sum(0) / len(rows)).astype(np.float32)
    centred_sums(rows, mean, 2, sums)
    return mean, (sums.sum(0) / len(rows)).astype(np.float32)
