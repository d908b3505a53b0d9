"""What follows a linear layer, in one pass: an affine map a channel, maximum pool, leaky ReLU, dropout.

The activation is applied after the pool, to the maximum alone: monotone functions commute with it. One byte an output
remembers which pixel of the window it came from, its sign and whether dropout kept it; that is all the backward pass
needs. Windows do not overlap. Loops over channels are innermost and contiguous, so that they become vector
instructions; images are shared out among threads, in chunks where sums are kept, so that sums do not depend on threads;
a row of windows is summed in float32, the rows in float64.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange

from eyespot.engine.epilogue_spec import PoolWindow
from eyespot.engine.kernels.cpu.numba_support import compiled, drawn, f32, read, u32, write

PLACE, NEGATIVE, DROPPED = np.uint8(63), np.uint8(64), np.uint8(128)
zero = np.uint8(0)


class Affine(NamedTuple):
    """Per channel, float32 [channels].

    Where None stands for it, kernels are compiled without it, which takes half the time.
    """

    scale: np.ndarray
    shift: np.ndarray


class Dropout(NamedTuple):
    """Outputs whose 32 random bits are below `threshold` are dropped, the others multiplied by `growth`."""

    threshold: Any
    growth: Any
    first_key: Any
    second_key: Any


class IncomingGradient(NamedTuple):
    """The gradient of the outputs and their codes, [n, height', width', channels], and what they were multiplied by."""

    gradient: np.ndarray
    code: np.ndarray
    slope: Any
    growth: Any


@compiled
def forward(
    values: Any, affine: Affine | None, window: PoolWindow, slope: Any, dropout: Dropout, output: Any, code: Any
) -> None:
    """values [n, height, width, channels] to output and code [n, height', width', channels]."""
    count, height, width, channels = values.shape
    rows, columns = output.shape[1:3]
    for n in prange(count):
        best, place = np.empty(channels, np.float32), np.empty(channels, np.uint8)
        for i in range(rows):
            top = i * window.height - window.top
            for j in range(columns):
                left = j * window.width - window.left
                is_first = True
                for row in range(max(0, top), min(height, top + window.height)):
                    for column in range(max(0, left), min(width, left + window.width)):
                        pixel, here = values[n, row, column], np.uint8((row - top) * window.width + column - left)
                        for c in range(channels):
                            value = read(pixel[c])
                            if affine is not None:
                                value = value * affine.scale[c] + affine.shift[c]
                            is_better = is_first or value > best[c] or value != value  # NaN wins
                            best[c] = value if is_better else best[c]
                            place[c] = here if is_better else place[c]
                        is_first = False
                written, remembered = output[n, i, j], code[n, i, j]
                index = u32(((n * rows + i) * columns + j) * channels)
                for c in range(channels):
                    value = best[c]
                    is_positive = value > f32(0)
                    is_kept = drawn(u32(index + u32(c)), dropout.first_key, dropout.second_key) >= dropout.threshold
                    factor = (f32(1) if is_positive else slope) * (dropout.growth if is_kept else f32(0))
                    written[c] = write(value * factor, output)
                    remembered[c] = place[c] | (zero if is_positive else NEGATIVE) | (zero if is_kept else DROPPED)


@njit(inline="always")
def _before_activation(
    arriving: IncomingGradient, n: Any, i: Any, j: Any, gradient: Any, place: Any, partial: Any
) -> None:
    """One output position's gradient, back through dropout and activation: [channels], added to the partial sum."""
    outer, code = arriving.gradient[n, i, j], arriving.code[n, i, j]
    for c in range(len(gradient)):
        value = read(outer[c]) * arriving.growth
        value = value * arriving.slope if code[c] & NEGATIVE else value
        value = f32(0) if code[c] & DROPPED else value
        gradient[c] = value
        place[c] = code[c] & PLACE
        partial[c] += value


@compiled
def backward(
    arriving: IncomingGradient, window: PoolWindow, affine: Affine | None, linear: Any, centre: Any, values: Any,
    upstream: Any, sums: Any,
) -> None:  # fmt: skip
    """Of the values: scale * g where the maximum came from, plus linear * (value - centre) + shift everywhere.

    Args:
        affine: None: scale 1, linear and shift 0; linear, centre and values are then None too.
        linear, centre: float32 [channels].
        upstream: [n, height, width, channels], written.
        sums: float64 [chunks, channels], written: each chunk of the images' sum of g.
    """
    count, height, width, channels = upstream.shape
    rows, columns = arriving.gradient.shape[1:3]
    chunks = len(sums)
    share = (count + chunks - 1) // chunks
    for chunk in prange(chunks):
        total, partial = sums[chunk], np.empty(channels, np.float32)
        total[:] = 0
        gradient, place = np.empty(channels, np.float32), np.empty(channels, np.uint8)
        for n in range(chunk * share, min(count, (chunk + 1) * share)):
            # pixels that no window covers, at the lower right, belong to windows that nothing arrives at
            for i in range((height + window.top + window.height - 1) // window.height):
                top = i * window.height - window.top
                partial[:] = f32(0)
                for j in range((width + window.left + window.width - 1) // window.width):
                    left = j * window.width - window.left
                    if i < rows and j < columns:
                        _before_activation(arriving, n, i, j, gradient, place, partial)
                    else:
                        gradient[:] = f32(0)
                        place[:] = zero
                    for row in range(max(0, top), min(height, top + window.height)):
                        for column in range(max(0, left), min(width, left + window.width)):
                            pixel, here = upstream[n, row, column], np.uint8((row - top) * window.width + column - left)
                            if affine is not None:
                                seen = values[n, row, column]
                                for c in range(channels):
                                    value = gradient[c] * affine.scale[c] if place[c] == here else f32(0)
                                    value += linear[c] * (read(seen[c]) - centre[c]) + affine.shift[c]
                                    pixel[c] = write(value, upstream)
                            else:
                                for c in range(channels):
                                    pixel[c] = write(gradient[c] if place[c] == here else f32(0), upstream)
                for c in range(channels):
                    total[c] += partial[c]


@compiled
def affine_sums(
    arriving: IncomingGradient, window: PoolWindow, values: Any, centre: Any, sums: Any, products: Any
) -> None:
    """Per chunk of the images, float64 [chunks, channels]: sums of g, and of g * (value - centre) at the maximum."""
    count, rows, columns, channels = arriving.gradient.shape
    height, width = values.shape[1:3]
    chunks = len(sums)
    share = (count + chunks - 1) // chunks
    for chunk in prange(chunks):
        total, product = sums[chunk], products[chunk]
        total[:] = 0
        product[:] = 0
        partial, partial_product = np.empty(channels, np.float32), np.empty(channels, np.float32)
        gradient, place = np.empty(channels, np.float32), np.empty(channels, np.uint8)
        for n in range(chunk * share, min(count, (chunk + 1) * share)):
            for i in range(rows):
                top = i * window.height - window.top
                partial[:] = f32(0)
                partial_product[:] = f32(0)
                for j in range(columns):
                    left = j * window.width - window.left
                    _before_activation(arriving, n, i, j, gradient, place, partial)
                    for row in range(max(0, top), min(height, top + window.height)):
                        for column in range(max(0, left), min(width, left + window.width)):
                            pixel, here = values[n, row, column], np.uint8((row - top) * window.width + column - left)
                            for c in range(channels):
                                distance = read(pixel[c]) - centre[c]
                                partial_product[c] += gradient[c] * distance if place[c] == here else f32(0)
                for c in range(channels):
                    total[c] += partial[c]
                    product[c] += partial_product[c]
