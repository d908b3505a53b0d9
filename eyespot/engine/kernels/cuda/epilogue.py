"""What follows a linear layer, in one pass: maximum pool, leaky ReLU, dropout; see `cpu/epilogue.py`.

A program of the grid does BLOCK outputs, or in the backward pass BLOCK pixels: windows do not overlap, so each pixel
has one output at most, and none has to be waited for.
"""

import triton
import triton.language as tl

BLOCK = 1024
NEGATIVE, DROPPED = tl.constexpr(64), tl.constexpr(128)


@triton.jit
def drawn(index, first_key, second_key):
    """`engine.drawing.drawn`, of uint32."""
    word = index * 0x9E3779B9 + first_key
    word = (word ^ (word >> 16)) * 0x7FEB352D
    word = word ^ second_key
    word = (word ^ (word >> 15)) * 0x846CA68B
    return word ^ (word >> 16)


@triton.jit
def forward(
    values, output, code, keys, total, height, width, rows, columns, slope, growth,
    CHANNELS: tl.constexpr, WINDOW_HEIGHT: tl.constexpr, WINDOW_WIDTH: tl.constexpr, TOP: tl.constexpr,
    LEFT: tl.constexpr, DROPS: tl.constexpr, STAGE: tl.constexpr, THRESHOLD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """values [n, height, width, CHANNELS] to output and code [n, rows, columns, CHANNELS], `total` in number.

    Args:
        keys: int64 [2], of the step; STAGE is mixed in.
        THRESHOLD: outputs whose 32 random bits are below are dropped.
    """
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < total
    channel, place = index % CHANNELS, index // CHANNELS
    column, row, picture = place % columns, place // columns % rows, place // (columns * rows)
    best = tl.zeros((BLOCK,), tl.float32)
    chosen = tl.zeros((BLOCK,), tl.int32)
    seen = index < 0
    for i in tl.static_range(WINDOW_HEIGHT):
        for j in tl.static_range(WINDOW_WIDTH):
            y, x = row * WINDOW_HEIGHT + i - TOP, column * WINDOW_WIDTH + j - LEFT
            there = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            pixel = ((picture * height + y) * width + x) * CHANNELS + channel
            value = tl.load(values + pixel, mask=there, other=0.0).to(tl.float32)
            is_better = there & ((value > best) | (value != value) | (seen == 0))  # NaN wins
            best = tl.where(is_better, value, best)
            chosen = tl.where(is_better, i * WINDOW_WIDTH + j, chosen)
            seen = seen | there
    is_positive = best > 0
    chosen = tl.where(is_positive, chosen, chosen | NEGATIVE)
    result = best * tl.where(is_positive, 1.0, slope)
    if DROPS:
        first, second = tl.load(keys).to(tl.uint32), tl.load(keys + 1).to(tl.uint32)
        own = tl.full((), 2 * STAGE, tl.uint32)
        bits = drawn(index.to(tl.uint32), drawn(own, first, second), drawn(own + 1, first, second))
        is_kept = bits >= THRESHOLD
        chosen = tl.where(is_kept, chosen, chosen | DROPPED)
        result = result * tl.where(is_kept, growth, 0.0)
    tl.store(output + index, result.to(output.dtype.element_ty), mask=inside)
    tl.store(code + index, chosen.to(tl.uint8), mask=inside)


@triton.jit
def backward(
    gradient, code, upstream, total, height, width, rows, columns, slope, growth,
    CHANNELS: tl.constexpr, WINDOW_HEIGHT: tl.constexpr, WINDOW_WIDTH: tl.constexpr, TOP: tl.constexpr,
    LEFT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """gradient and code [n, rows, columns, CHANNELS] to upstream [n, height, width, CHANNELS], `total` in number."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < total
    channel, place = index % CHANNELS, index // CHANNELS
    x, y, picture = place % width + LEFT, place // width % height + TOP, place // (width * height)
    row, column = y // WINDOW_HEIGHT, x // WINDOW_WIDTH
    covered = inside & (row < rows) & (column < columns)  # others, at the lower right, no window covers
    source = ((picture * rows + row) * columns + column) * CHANNELS + channel
    value = tl.load(gradient + source, mask=covered, other=0.0).to(tl.float32) * growth
    remembered = tl.load(code + source, mask=covered, other=0).to(tl.int32)
    value = tl.where((remembered & NEGATIVE) != 0, value * slope, value)
    here = y % WINDOW_HEIGHT * WINDOW_WIDTH + x % WINDOW_WIDTH
    arrives = covered & ((remembered & DROPPED) == 0) & ((remembered & 63) == here)
    tl.store(upstream + index, tl.where(arrives, value, 0.0).to(upstream.dtype.element_ty), mask=inside)
