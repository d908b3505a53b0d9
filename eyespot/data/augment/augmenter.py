"""A batch changed as its draws say, where it lies."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column
from eyespot.data.augment.erase import erase
from eyespot.data.augment.mixing import mix
from eyespot.data.augment.warp import warp
from eyespot.shapes import Float32, Int64, UInt8

WHITE = 255
HALF = 0.5


@dataclass(frozen=True)
class Augmented:
    """A batch that may be learnt.

    Attributes:
        labels: of a mixed picture, the class with the larger share.
        others: of mixed pictures, the other class.
        shares: of `labels`, from 0.5 to 1; others have the rest.
    """

    images: UInt8[Tensor, "n height width channels"]
    labels: Int64[Tensor, " n"]
    others: Int64[Tensor, " n"] | None = None
    shares: Float32[Tensor, " n"] | None = None


def augment(
    images: UInt8[Tensor, "n height width channels"],
    labels: Int64[Tensor, " n"],
    changes: Changes,
    draws: Float32[Tensor, "n columns"],
) -> Augmented:
    """The batch moved, shaded, erased in places and mixed, in this order, and rounded once, at the end.

    Args:
        draws: as of `eyespot.data.augment.draws.draw`, on the same device.
    """
    pictures = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    if changes.moves:
        pictures = warp(pictures, changes, draws)
    if changes.shades:
        pictures = _shaded(pictures, images, changes, draws)
    if changes.erase:
        pictures = erase(pictures, changes.erase, draws)
    others = shares = None
    if changes.mixes:
        pictures, labels, others, shares = mix(pictures, labels, changes, draws)
    return Augmented(_as_pixels(pictures), labels, others, shares)


def _shaded(pictures: Tensor, images: Tensor, changes: Changes, draws: Tensor) -> Tensor:
    """Contrast about the picture's own mean, then brightness; pixels stay what can be shown."""
    slope = 1 + changes.contrast * (draws[:, Column.CONTRAST] * 2 - 1)
    # Of whole numbers, so that the sum does not depend on its order.
    mean = images.sum((1, 2, 3), dtype=torch.int64) / images[0].numel()
    offset = mean * (1 - slope) + WHITE * changes.brightness * (draws[:, Column.BRIGHTNESS] * 2 - 1)
    return pictures.mul(slope[:, None, None, None]).add_(offset[:, None, None, None]).clamp_(0, WHITE)


def _as_pixels(pictures: Tensor) -> Tensor:
    """Rounded, halves upwards, in place: the pictures are a copy by now."""
    return pictures.add_(HALF).clamp_(0, WHITE).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
