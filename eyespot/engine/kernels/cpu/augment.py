"""A batch of images moved, shaded, erased in places and mixed, in one pass from pixels to pixels.

The same as `eyespot.data.augment.transforms.augment`, which needs some sixty operations of PyTorch for it: in a small
network's step these cost more than the work they do.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange

from eyespot.data.augment.policy import Changes
from eyespot.data.augment.transforms import AREA, ENOUGH, SLIMMEST, DrawColumn
from eyespot.engine.kernels.cpu.numba_support import compiled, f32

# Numba takes plain numbers.
DOWN, RIGHT, ANGLE, SIZE = int(DrawColumn.DOWN), int(DrawColumn.RIGHT), int(DrawColumn.ANGLE), int(DrawColumn.SIZE)
MIRROR, UPEND, BRIGHTNESS, CONTRAST = (
    int(DrawColumn.MIRROR),
    int(DrawColumn.UPEND),
    int(DrawColumn.BRIGHTNESS),
    int(DrawColumn.CONTRAST),
)
ERASE, SHARE, ASPECT, TOP, LEFT = (
    int(DrawColumn.ERASE),
    int(DrawColumn.AREA),
    int(DrawColumn.ASPECT),
    int(DrawColumn.TOP),
    int(DrawColumn.LEFT),
)
RED, WAY, ROW, COLUMN = int(DrawColumn.RED), int(DrawColumn.WAY), int(DrawColumn.ROW), int(DrawColumn.COLUMN)
MIXUP, CUTMIX = int(DrawColumn.MIXUP), int(DrawColumn.CUTMIX)
LEAST, MORE, SLIM = f32(AREA[0]), f32(AREA[1] - AREA[0]), f32(-math.log(SLIMMEST))
# Places in an image's plan: the affine map, the line for values, the erased rectangle, its colour, the background's,
# the image's own share, the rectangle that another one takes.
XX, XY, X0, YX, YY, Y0, SLOPE, OFFSET, T, L, B, R = range(12)
COLOUR, BACKGROUND, OWN, CT, CL, CB, CR, PLAN = 12, 15, 18, 19, 20, 21, 22, 23
HALF = f32(0.5)
place = np.uintp  # of which Numba knows that it is not counted from the end


@cache
def numbers_of(changes: Changes) -> np.ndarray:
    """The changes as the kernel takes them, float32."""
    c = changes
    flips, mixes = (float(c.flip_horizontal), float(c.flip_vertical)), (float(c.mixup > 0), float(c.cutmix > 0))
    amounts = (c.shift, math.radians(c.rotate), math.log1p(c.zoom), *flips, c.brightness, c.contrast, c.erase)
    return np.array([*amounts, *mixes, float(c.moves), float(c.fill == "edge")], np.float32)


@compiled
def augment(images: Any, draws: Any, partners: Any, numbers: Any, out: Any, shares: Any) -> None:
    """Writes the changed images, and how much of each is its own.

    Args:
        images: uint8 [n, height, width, channels], of at most three channels.
        draws: float32 [n, columns].
        partners: int64 [n], with which an image is mixed.
        numbers: as of `numbers_of`.
        out: as `images`, written.
        shares: float32 [n], written: of the image's own in the mixture.
    """
    count, height, width, channels = images.shape
    plans = np.empty((count, PLAN), f32)
    for n in prange(count):
        _plan(images[n], draws[n], numbers, plans[n])
        shares[n] = plans[n, OWN]
    for n in prange(count):
        mate = partners[n]
        mine, other = np.empty((2, width * channels), f32)
        for y in range(height):
            kept, first, end = _kept(plans[n], y)
            if kept > f32(0):
                _row(images[n], plans[n], numbers, y, mine)
            if kept < f32(1) or end > first:
                _row(images[mate], plans[mate], numbers, y, other)
            if kept < f32(1):
                for i in range(width * channels):
                    mine[i] = other[i] + kept * (mine[i] - other[i])
            for i in range(first * channels, end * channels):
                mine[i] = other[i]
            row = out[n, y].reshape(width * channels)
            for i in range(width * channels):
                row[i] = np.uint8(min(max(mine[i] + HALF, f32(0)), f32(255)))


@njit(inline="always")
def _kept(plan: Any, y: Any) -> Any:
    """How much of a row is the image's own, and from where to where another one's is pasted in."""
    if plan[CT] < f32(0):
        return plan[OWN], 0, 0
    if plan[CT] <= y < plan[CB]:
        return f32(1), int(plan[CL]), int(plan[CR])
    return f32(1), 0, 0


@njit(inline="never")
def _plan(image: Any, draw: Any, numbers: Any, plan: Any) -> None:
    """What is done to one image: where its pixels come from, line for their values, rectangles, colours."""
    height, width, channels = image.shape
    angle = (f32(2) * draw[ANGLE] - f32(1)) * numbers[1]
    smaller = np.exp((f32(1) - f32(2) * draw[SIZE]) * numbers[2])
    mirror = f32(-1) if numbers[3] > f32(0) and draw[MIRROR] < HALF else f32(1)
    upend = f32(-1) if numbers[4] > f32(0) and draw[UPEND] < HALF else f32(1)
    across, along = smaller * np.cos(angle), smaller * np.sin(angle)
    middle_x, middle_y = f32(width - 1) * HALF, f32(height - 1) * HALF
    plan[XX], plan[XY], plan[YX], plan[YY] = mirror * across, mirror * along, -upend * along, upend * across
    right, down = numbers[0] * (f32(2) * draw[RIGHT] - f32(1)), numbers[0] * (f32(2) * draw[DOWN] - f32(1))
    plan[X0] = middle_x + right * f32(width) - plan[XX] * middle_x - plan[XY] * middle_y
    plan[Y0] = middle_y + down * f32(height) - plan[YX] * middle_x - plan[YY] * middle_y
    slope = f32(1) + numbers[6] * (f32(2) * draw[CONTRAST] - f32(1))
    mean = f32(0)
    if numbers[6] > f32(0):
        mean = f32(_total(image)) / f32(height * width * channels)
    plan[SLOPE] = slope
    plan[OFFSET] = mean * (f32(1) - slope) + f32(255) * numbers[5] * (f32(2) * draw[BRIGHTNESS] - f32(1))
    _plan_rectangles(height, width, draw, numbers, plan)
    for k in range(channels):
        plan[COLOUR + k] = np.rint(draw[RED + k] * f32(255))
        if numbers[10] > f32(0) and numbers[11] == f32(0):
            plan[BACKGROUND + k] = f32(_border_median(image, k))


@njit(inline="never")
def _plan_rectangles(height: Any, width: Any, draw: Any, numbers: Any, plan: Any) -> None:
    plan[T] = plan[L] = plan[B] = plan[R] = f32(-1)
    if draw[ERASE] < numbers[7]:
        side = np.sqrt((LEAST + MORE * draw[SHARE]) * f32(height * width))
        slim = np.exp((draw[ASPECT] - HALF) * SLIM)
        high = min(max(np.rint(side * slim), f32(1)), f32(height))
        wide = min(max(np.rint(side / slim), f32(1)), f32(width))
        plan[T] = np.floor(draw[TOP] * (f32(height) - high + f32(1)))
        plan[L] = np.floor(draw[LEFT] * (f32(width) - wide + f32(1)))
        plan[B], plan[R] = plan[T] + high, plan[L] + wide
    plan[OWN], plan[CT] = f32(1), f32(-1)
    cuts = numbers[9] > f32(0) and (numbers[8] == f32(0) or draw[WAY] < HALF)
    if cuts:
        root = np.sqrt(f32(1) - draw[CUTMIX]) * HALF
        middle_y, middle_x = np.floor(draw[ROW] * f32(height)), np.floor(draw[COLUMN] * f32(width))
        plan[CT] = max(np.rint(middle_y - f32(height) * root), f32(0))
        plan[CB] = min(np.rint(middle_y + f32(height) * root), f32(height))
        plan[CL] = max(np.rint(middle_x - f32(width) * root), f32(0))
        plan[CR] = min(np.rint(middle_x + f32(width) * root), f32(width))
        plan[OWN] = f32(1) - (plan[CB] - plan[CT]) * (plan[CR] - plan[CL]) / f32(height * width)
    elif numbers[8] > f32(0):
        plan[OWN] = draw[MIXUP]


@njit(inline="never")
def _total(image: Any) -> int:
    total = 0
    for value in image.flat:
        total += int(value)
    return total


@njit(inline="never")
def _border_median(image: Any, channel: Any) -> int:
    """Of some of the border's pixels: the two lines across, then the two down."""
    height, width, _ = image.shape
    length = 2 * (height + width)
    apart = max(1, length // ENOUGH)
    often = np.zeros(256, np.int32)
    for place in range(0, length, apart):
        if place < 2 * width:
            value = image[0 if place < width else height - 1, place % width, channel]
        else:
            value = image[(place - 2 * width) % height, 0 if place < 2 * width + height else width - 1, channel]
        often[value] += 1
    left, value = ((length + apart - 1) // apart) // 2, 0
    while left >= often[value]:
        left -= often[value]
        value += 1
    return value


@njit(inline="never")
def _row(image: Any, plan: Any, numbers: Any, y: Any, row: Any) -> None:
    """One row of an image as it becomes, before it is mixed: float32 [width * channels]."""
    _, width, channels = image.shape
    if numbers[10] > f32(0):
        _sample(image, plan, numbers[11] > f32(0), y, row)
    else:
        pixels = image[y].reshape(width * channels)
        for i in range(width * channels):
            row[i] = f32(pixels[i])
    if numbers[5] > f32(0) or numbers[6] > f32(0):
        slope, offset = plan[SLOPE], plan[OFFSET]
        for i in range(width * channels):
            row[i] = min(max(row[i] * slope + offset, f32(0)), f32(255))
    if plan[T] <= y < plan[B]:
        for x in range(int(plan[L]), int(plan[R])):
            for k in range(channels):
                row[x * channels + k] = plan[COLOUR + k]


@njit(inline="always")
def _sample(image: Any, plan: Any, to_edge: Any, y: Any, row: Any) -> None:
    """Between the four nearest pixels of where each comes from."""
    height, width, channels = image.shape
    last_x, last_y = f32(width - 1), f32(height - 1)
    step_x, step_y = plan[XX], plan[YX]
    start_x, start_y = plan[XY] * f32(y) + plan[X0], plan[YY] * f32(y) + plan[Y0]
    for x in range(width):
        from_x, from_y = step_x * f32(x) + start_x, step_y * f32(x) + start_y
        if to_edge:
            from_x, from_y = min(max(from_x, f32(0)), last_x), min(max(from_y, f32(0)), last_y)
        if f32(0) <= from_x < last_x and f32(0) <= from_y < last_y:
            left, top = place(from_x), place(from_y)
            part_x, part_y = from_x - f32(left), from_y - f32(top)
            right, bottom = place(left + place(1)), place(top + place(1))
            for k in range(channels):
                of_top = f32(image[top, left, k])
                of_bottom = f32(image[bottom, left, k])
                of_top += part_x * (f32(image[top, right, k]) - of_top)
                of_bottom += part_x * (f32(image[bottom, right, k]) - of_bottom)
                row[x * channels + k] = of_top + part_y * (of_bottom - of_top)
        else:
            _sample_at_edge(image, plan, to_edge, from_x, from_y, row[x * channels : (x + 1) * channels])


@njit(inline="never")
def _sample_at_edge(image: Any, plan: Any, to_edge: Any, from_x: Any, from_y: Any, pixel: Any) -> None:
    """The same where some of the four lie outside."""
    height, width, channels = image.shape
    low_x, low_y = np.floor(from_x), np.floor(from_y)
    part_x, part_y = from_x - low_x, from_y - low_y
    for k in range(channels):
        total = f32(0)
        for down in range(2):
            for right in range(2):
                line, column = int(low_y) + down, int(low_x) + right
                share = (part_y if down else f32(1) - part_y) * (part_x if right else f32(1) - part_x)
                value = plan[BACKGROUND + k]
                if 0 <= line < height and 0 <= column < width:
                    value = f32(image[line, column, k])
                elif to_edge:
                    value = f32(image[min(max(line, 0), height - 1), min(max(column, 0), width - 1), k])
                total += value * share
        pixel[k] = total
