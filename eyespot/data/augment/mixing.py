"""Two pictures in one: mixup and cutmix.

Mixup: Zhang, Cisse, Dauphin, Lopez-Paz, ICLR 2018, equation (1). Cutmix: Yun, Han, Oh, Chun, Choe, Yoo, ICCV 2019,
equations (1) and (2). Both draw a share for each picture of the batch, as the equations have it; the papers' code draws
one for all.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column
from eyespot.data.augment.rectangles import inside
from eyespot.shapes import Float32, Int64, Shaped


class Mixed(NamedTuple):
    """Pictures of two classes each.

    Attributes:
        labels: the class that has the larger share.
        others: the other one; the same where a picture met one of its own class.
        shares: of `labels`, from 0.5 to 1.
    """

    pictures: Float32[Tensor, "n channels height width"]
    labels: Int64[Tensor, " n"]
    others: Int64[Tensor, " n"]
    shares: Float32[Tensor, " n"]


def mix(
    pictures: Float32[Tensor, "n channels height width"],
    labels: Int64[Tensor, " n"],
    changes: Changes,
    draws: Float32[Tensor, "n columns"],
) -> Mixed:
    """Each picture with another one of the batch, by a random order of it."""
    partners = draws[:, Column.PARTNER].argsort(stable=True)
    kept, shares = _kept(changes, draws, (pictures.shape[2], pictures.shape[3]))
    mixed = torch.lerp(pictures[partners], pictures, kept)
    return Mixed(mixed, *heavier_first(labels, labels[partners], shares))


def heavier_first(
    labels: Int64[Tensor, " n"], partners: Int64[Tensor, " n"], shares: Float32[Tensor, " n"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"], Float32[Tensor, " n"]]:
    """Labels, those of the partners and the share of the first, exchanged where that is below a half.

    Of two halves the class of the lower number is first, as `argmax` has it.
    """
    half = 0.5
    ours = (shares > half) | ((shares == half) & (labels <= partners))
    return torch.where(ours, labels, partners), torch.where(ours, partners, labels), torch.maximum(shares, 1 - shares)


def _kept(
    changes: Changes, draws: Tensor, sides: tuple[int, int]
) -> tuple[Shaped[Tensor, "n 1 rows columns"], Float32[Tensor, " n"]]:
    """How much of each pixel is the picture's own, and how much of it all."""
    shares = draws[:, Column.MIXUP]
    blended = shares[:, None, None, None]
    if not changes.cutmix:
        return blended, shares
    pasted = _cut(draws, sides)
    left_over = 1 - pasted.sum((1, 2, 3)) / (sides[0] * sides[1])
    if not changes.mixup:
        return 1 - pasted.float(), left_over
    cuts = draws[:, Column.WAY] < 0.5  # noqa: PLR2004 - every other one
    kept = torch.where(cuts[:, None, None, None], 1 - pasted.float(), blended)
    return kept, torch.where(cuts, left_over, shares)


def _cut(draws: Tensor, sides: tuple[int, int]) -> Shaped[Tensor, "n 1 height width"]:
    """Rectangles in the picture's own proportions about a random pixel, cut off at its edges."""
    root = torch.sqrt(1 - draws[:, Column.CUTMIX])
    edges = []
    for side, column in zip(sides, (Column.ROW, Column.COLUMN), strict=True):
        centre, half = (draws[:, column] * side).floor(), side * root / 2
        edges.append(((centre - half).round(), (centre + half).round()))
    (top, bottom), (left, right) = edges
    return inside(top, left, bottom, right, sides)
