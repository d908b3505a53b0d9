"""Shift, rotation, zoom and flips as one affine map, sampled once, bilinearly."""

import math

import torch
from torch import Tensor

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column
from eyespot.shapes import Float32

ENOUGH = 32  # pixels of a border


def warp(
    pictures: Float32[Tensor, "n channels height width"],
    changes: Changes,
    draws: Float32[Tensor, "n columns"],
) -> Float32[Tensor, "n channels height width"]:
    """The pictures moved as their draws say; the background, or the edge's pixels, comes in from outside."""
    grid = _places(changes, draws, pictures.shape[2], pictures.shape[3])
    if changes.fill == "edge":
        return torch.nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    # What lies outside is 0 there, so the background is made 0.
    colour = background_of(pictures)[:, :, None, None]
    return torch.nn.functional.grid_sample(pictures - colour, grid, align_corners=False).add_(colour)


def background_of(pictures: Float32[Tensor, "n channels height width"]) -> Float32[Tensor, "n channels"]:
    """The median colour along the border: white of paper, black of MNIST, whatever touches the edge in places.

    Of a long border, some of its pixels, evenly apart.
    """
    lines = pictures[:, :, 0], pictures[:, :, -1], pictures[..., 0], pictures[..., -1]
    border = torch.cat(lines, 2)
    some = border[:, :, :: max(1, border.shape[2] // ENOUGH)]
    # Sorted, since a GPU's median is not allowed where kernels have to be deterministic.
    return some.sort(2).values[:, :, some.shape[2] // 2]


def _places(
    changes: Changes, draws: Float32[Tensor, "n columns"], height: int, width: int
) -> Float32[Tensor, "n height width 2"]:
    """Where each pixel comes from, (right, down) from -1 to 1 of the picture, as `grid_sample` takes it.

    Computed without a matrix product, whose last bit would depend on the number of threads.
    """
    angle = _either_way(draws, Column.ANGLE) * math.radians(changes.rotate)
    smaller = torch.exp(_either_way(draws, Column.SIZE) * -math.log1p(changes.zoom))
    across, along = smaller * torch.cos(angle), smaller * torch.sin(angle)
    mirror = _sign(draws, Column.MIRROR, wanted=changes.flip_horizontal)
    upend = _sign(draws, Column.UPEND, wanted=changes.flip_vertical)
    right = 2 * changes.shift * _either_way(draws, Column.RIGHT)
    down = 2 * changes.shift * _either_way(draws, Column.DOWN)
    x, y = _centres(width, draws), _centres(height, draws)
    grid = torch.empty((len(draws), height, width, 2), device=draws.device)
    # Angles are kept in pixels, not in shares of a side.
    of_x, of_y = mirror * across, mirror * along * (height / width)
    torch.add(_outer(of_x, x)[:, None, :], (_outer(of_y, y) + right[:, None])[:, :, None], out=grid[..., 0])
    of_x, of_y = -upend * along * (width / height), upend * across
    torch.add(_outer(of_x, x)[:, None, :], (_outer(of_y, y) + down[:, None])[:, :, None], out=grid[..., 1])
    return grid


def _outer(factors: Tensor, places: Tensor) -> Tensor:
    return factors[:, None] * places[None, :]


def _centres(side: int, draws: Tensor) -> Tensor:
    """Of the pixels along a side, from -1 to 1."""
    return (torch.arange(side, device=draws.device) * 2 + 1) / side - 1


def _either_way(draws: Tensor, column: Column) -> Tensor:
    """In [-1, 1)."""
    return draws[:, column] * 2 - 1


def _sign(draws: Tensor, column: Column, *, wanted: bool) -> Tensor:
    """-1 in every other picture, where that is wanted."""
    return 1 - 2 * ((draws[:, column] < 0.5) & wanted).float()  # noqa: PLR2004 - every other one
