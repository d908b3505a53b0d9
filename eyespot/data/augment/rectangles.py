"""Rectangles in pictures: which pixels lie inside."""

import torch
from torch import Tensor

from eyespot.shapes import Shaped


def inside(
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
    places = torch.arange(side, device=first.device)
    return (places >= first[:, None]) & (places < end[:, None])
