"""Augmentation of a batch: what a step draws, and the transforms, in NumPy and PyTorch.

A step's draws are a function of the seed and of its number alone. Shift, rotation, zoom and flips are one affine map,
sampled once, bilinearly. Random erasing: Zhong, Zheng, Kang, Li, Yang, AAAI 2020, algorithm 1. Mixup: Zhang, Cisse,
Dauphin, Lopez-Paz, ICLR 2018, equation (1). Cutmix: Yun, Han, Oh, Chun, Choe, Yoo, ICCV 2019, equations (1) and (2).
Mixup and cutmix draw a share for each image of the batch, as the equations have it; the papers' code draws one for
all.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eyespot.data.augment.policy import Changes
from eyespot.random import seed_for
from eyespot.shapes import Float32, Int64, Shaped, UInt8

ENOUGH = 32  # pixels of a border
AREA = (0.02, 0.4)  # of the image, as in the paper
SLIMMEST = 0.3  # height to width, or width to height, as in the paper
WHITE = 255
HALF = 0.5


def draw_step(changes: Changes, seed: int, step: int, pictures: int) -> Float32[np.ndarray, "pictures columns"]:
    """Return a row of draws for each image; every column is drawn, so that no change affects the draws of another.

    Args:
        seed: of the training.
        step: its number in the whole training, from 0.
    """
    generator = np.random.Generator(np.random.Philox(key=seed_for(seed, "augment", step)))  # quicker than from a seed
    draws = generator.random((pictures, len(DrawColumn)), np.float32)
    for column, alpha in ((DrawColumn.MIXUP, changes.mixup), (DrawColumn.CUTMIX, changes.cutmix)):
        draws[:, column] = generator.beta(alpha, alpha, pictures) if alpha else 1.0
    return draws


class DrawColumn(IntEnum):
    """The columns of an image's draws: uniform in [0, 1), except the last two, which are shares."""

    DOWN = 0
    RIGHT = auto()
    ANGLE = auto()
    SIZE = auto()
    MIRROR = auto()
    UPEND = auto()
    BRIGHTNESS = auto()
    CONTRAST = auto()
    ERASE = auto()
    AREA = auto()
    ASPECT = auto()
    TOP = auto()
    LEFT = auto()
    RED = auto()
    GREEN = auto()
    BLUE = auto()
    PARTNER = auto()
    WAY = auto()
    ROW = auto()
    COLUMN = auto()
    MIXUP = auto()
    CUTMIX = auto()


@dataclass(frozen=True)
class AugmentedBatch:
    """A batch that may be learnt.

    Attributes:
        labels: of a mixed image, the class with the larger share.
        others: of mixed images, the other class.
        shares: of `labels`, from 0.5 to 1; others have the rest.
    """

    images: UInt8[Tensor, "n height width channels"]
    labels: Int64[Tensor, " n"]
    others: Int64[Tensor, " n"] | None = None
    shares: Float32[Tensor, " n"] | None = None


def augment_batch(
    images: UInt8[Tensor, "n height width channels"],
    labels: Int64[Tensor, " n"],
    changes: Changes,
    draws: Float32[Tensor, "n columns"],
) -> AugmentedBatch:
    """Move, shade, erase and mix the images of a batch, in this order, and round once, at the end.

    Args:
        draws: as of `eyespot.data.augment.transforms.draw_step`, on the same device.
    """
    pictures = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    if changes.moves:
        pictures = warp(pictures, changes, draws)
    if changes.shades:
        pictures = _shaded(pictures, images, changes, draws)
    if changes.erase:
        pictures = erase_rectangles(pictures, changes.erase, draws)
    others = shares = None
    if changes.mixes:
        pictures, labels, others, shares = mix_images(pictures, labels, changes, draws)
    return AugmentedBatch(_as_pixels(pictures), labels, others, shares)


def warp(
    pictures: Float32[Tensor, "n channels height width"],
    changes: Changes,
    draws: Float32[Tensor, "n columns"],
) -> Float32[Tensor, "n channels height width"]:
    """The images moved as their draws say; the background, or the edge's pixels, comes in from outside."""
    grid = _places(changes, draws, pictures.shape[2], pictures.shape[3])
    if changes.fill == "edge":
        return torch.nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    # What lies outside is 0 there, so the background is made 0.
    colour = background_of(pictures)[:, :, None, None]
    return torch.nn.functional.grid_sample(pictures - colour, grid, align_corners=False).add_(colour)


def _places(
    changes: Changes, draws: Float32[Tensor, "n columns"], height: int, width: int
) -> Float32[Tensor, "n height width 2"]:
    """Return the source of each pixel, (right, down) from -1 to 1 of the image, as `grid_sample` takes it.

    Computed without a matrix product, whose last bit would depend on the number of threads.
    """
    angle = _either_way(draws, DrawColumn.ANGLE) * math.radians(changes.rotate)
    scale = torch.exp(_either_way(draws, DrawColumn.SIZE) * -math.log1p(changes.zoom))
    across, along = scale * torch.cos(angle), scale * torch.sin(angle)
    mirror = _sign(draws, DrawColumn.MIRROR, flips=changes.flip_horizontal)
    upend = _sign(draws, DrawColumn.UPEND, flips=changes.flip_vertical)
    right = 2 * changes.shift * _either_way(draws, DrawColumn.RIGHT)
    down = 2 * changes.shift * _either_way(draws, DrawColumn.DOWN)
    x, y = _centres(width, draws), _centres(height, draws)
    grid = torch.empty((len(draws), height, width, 2), device=draws.device)
    # Angles are kept in pixels, not in shares of a side.
    x_factors, y_factors = mirror * across, mirror * along * (height / width)
    torch.add(_outer(x_factors, x)[:, None, :], (_outer(y_factors, y) + right[:, None])[:, :, None], out=grid[..., 0])
    x_factors, y_factors = -upend * along * (width / height), upend * across
    torch.add(_outer(x_factors, x)[:, None, :], (_outer(y_factors, y) + down[:, None])[:, :, None], out=grid[..., 1])
    return grid


def _either_way(draws: Tensor, column: DrawColumn) -> Tensor:
    """Return a column of the draws, scaled to [-1, 1)."""
    return draws[:, column] * 2 - 1


def _sign(draws: Tensor, column: DrawColumn, *, flips: bool) -> Tensor:
    """Return -1 for half of the images and 1 for the others; 1 for all where it does not flip."""
    return 1 - 2 * ((draws[:, column] < 0.5) & flips).float()  # noqa: PLR2004 - every other one


def _centres(side: int, draws: Tensor) -> Tensor:
    """Return the pixel centres along a side, from -1 to 1."""
    return (torch.arange(side, device=draws.device) * 2 + 1) / side - 1


def _outer(factors: Tensor, positions: Tensor) -> Tensor:
    return factors[:, None] * positions[None, :]


def background_of(pictures: Float32[Tensor, "n channels height width"]) -> Float32[Tensor, "n channels"]:
    """The median colour along the border: white of paper, black of MNIST, whatever touches the edge in places.

    Of a long border, some of its pixels, evenly apart.
    """
    lines = pictures[:, :, 0], pictures[:, :, -1], pictures[..., 0], pictures[..., -1]
    border = torch.cat(lines, 2)
    sample = border[:, :, :: max(1, border.shape[2] // ENOUGH)]
    # Sorted, since a GPU's median is not allowed where kernels have to be deterministic.
    return sample.sort(2).values[:, :, sample.shape[2] // 2]


def _shaded(pictures: Tensor, images: Tensor, changes: Changes, draws: Tensor) -> Tensor:
    """Change the contrast about each image's mean, then the brightness; clip to the range of pixels."""
    slope = 1 + changes.contrast * (draws[:, DrawColumn.CONTRAST] * 2 - 1)
    # Of whole numbers, so that the sum does not depend on its order.
    mean = images.sum((1, 2, 3), dtype=torch.int64) / images[0].numel()
    offset = mean * (1 - slope) + WHITE * changes.brightness * (draws[:, DrawColumn.BRIGHTNESS] * 2 - 1)
    return pictures.mul(slope[:, None, None, None]).add_(offset[:, None, None, None]).clamp_(0, WHITE)


def erase_rectangles(
    pictures: Float32[Tensor, "n channels height width"], share: float, draws: Float32[Tensor, "n columns"]
) -> Float32[Tensor, "n channels height width"]:
    """Erase a rectangle in a share of the images, filled with one random colour.

    The paper draws again until the rectangle fits, and fills it with noise. Here a side that is too long is cut to the
    image's, height to width is drawn as likely above as below 1, and the colour is one for all of it.
    """
    _, channels, height, width = pictures.shape
    area = AREA[0] + (AREA[1] - AREA[0]) * draws[:, DrawColumn.AREA]
    ratio_root = torch.exp((draws[:, DrawColumn.ASPECT] - 0.5) * -math.log(SLIMMEST))  # square root of height to width
    side = torch.sqrt(area * height * width)
    box_height = (side * ratio_root).round().clamp(1, height)
    box_width = (side / ratio_root).round().clamp(1, width)
    top = (draws[:, DrawColumn.TOP] * (height - box_height + 1)).floor()
    left = (draws[:, DrawColumn.LEFT] * (width - box_width + 1)).floor()
    mask = inside_rectangle(top, left, top + box_height, left + box_width, (height, width))
    mask &= (draws[:, DrawColumn.ERASE] < share)[:, None, None, None]
    colour = (draws[:, DrawColumn.RED : DrawColumn.RED + channels] * 255).round()
    return torch.where(mask, colour[:, :, None, None], pictures)


def inside_rectangle(
    top: Shaped[Tensor, " n"],
    left: Shaped[Tensor, " n"],
    bottom: Shaped[Tensor, " n"],
    right: Shaped[Tensor, " n"],
    sides: tuple[int, int],
) -> Shaped[Tensor, "n 1 height width"]:
    """True from `top` and `left` on, as far as before `bottom` and `right`, in whole pixels."""
    rows = _between(top, bottom, sides[0])
    columns = _between(left, right, sides[1])
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _between(first: Tensor, end: Tensor, side: int) -> Tensor:
    positions = torch.arange(side, device=first.device)
    return (positions >= first[:, None]) & (positions < end[:, None])


class MixedBatch(NamedTuple):
    """Pictures of two classes each.

    Attributes:
        labels: the class that has the larger share.
        others: the other one; the same where an image met one of its own class.
        shares: of `labels`, from 0.5 to 1.
    """

    pictures: Float32[Tensor, "n channels height width"]
    labels: Int64[Tensor, " n"]
    others: Int64[Tensor, " n"]
    shares: Float32[Tensor, " n"]


def mix_images(
    pictures: Float32[Tensor, "n channels height width"],
    labels: Int64[Tensor, " n"],
    changes: Changes,
    draws: Float32[Tensor, "n columns"],
) -> MixedBatch:
    """Mix each image with another one of the batch, in a random order."""
    partners = draws[:, DrawColumn.PARTNER].argsort(stable=True)
    weights, shares = _kept(changes, draws, (pictures.shape[2], pictures.shape[3]))
    mixed = torch.lerp(pictures[partners], pictures, weights)
    return MixedBatch(mixed, *heavier_first(labels, labels[partners], shares))


def _kept(
    changes: Changes, draws: Tensor, sides: tuple[int, int]
) -> tuple[Shaped[Tensor, "n 1 rows columns"], Float32[Tensor, " n"]]:
    """Return each image's own share of every pixel, and its share of the whole image."""
    shares = draws[:, DrawColumn.MIXUP]
    blended = shares[:, None, None, None]
    if not changes.cutmix:
        return blended, shares
    pasted = _cut(draws, sides)
    left_over = 1 - pasted.sum((1, 2, 3)) / (sides[0] * sides[1])
    if not changes.mixup:
        return 1 - pasted.float(), left_over
    cuts = draws[:, DrawColumn.WAY] < 0.5  # noqa: PLR2004 - every other one
    weights = torch.where(cuts[:, None, None, None], 1 - pasted.float(), blended)
    return weights, torch.where(cuts, left_over, shares)


def _cut(draws: Tensor, sides: tuple[int, int]) -> Shaped[Tensor, "n 1 height width"]:
    """Return rectangles in the image's proportions about a random pixel, cut off at the edges."""
    root = torch.sqrt(1 - draws[:, DrawColumn.CUTMIX])
    edges = []
    for side, column in zip(sides, (DrawColumn.ROW, DrawColumn.COLUMN), strict=True):
        centre, half = (draws[:, column] * side).floor(), side * root / 2
        edges.append(((centre - half).round(), (centre + half).round()))
    (top, bottom), (left, right) = edges
    return inside_rectangle(top, left, bottom, right, sides)


def heavier_first(
    labels: Int64[Tensor, " n"], partners: Int64[Tensor, " n"], shares: Float32[Tensor, " n"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"], Float32[Tensor, " n"]]:
    """Labels, those of the partners and the share of the first, exchanged where that is below a half.

    Of two halves the class of the lower number is first, as `argmax` has it.
    """
    half = 0.5
    is_heavier = (shares > half) | ((shares == half) & (labels <= partners))
    return (
        torch.where(is_heavier, labels, partners),
        torch.where(is_heavier, partners, labels),
        torch.maximum(shares, 1 - shares),
    )


def _as_pixels(pictures: Tensor) -> Tensor:
    """Round to pixels, halves upwards, in place: the images are a copy by now."""
    return pictures.add_(HALF).clamp_(0, WHITE).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
