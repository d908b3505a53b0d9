"""Random erasing (Zhong, Zheng, Kang, Li, Yang: Random Erasing Data Augmentation, AAAI 2020, algorithm 1)."""

import math

import torch
from torch import Tensor

from eyespot.data.augment.draws import Column
from eyespot.data.augment.rectangles import inside
from eyespot.shapes import Float32

AREA = (0.02, 0.4)  # of the picture, as in the paper
SLIMMEST = 0.3  # height to width, or width to height, as in the paper


def erase(
    pictures: Float32[Tensor, "n channels height width"], share: float, draws: Float32[Tensor, "n columns"]
) -> Float32[Tensor, "n channels height width"]:
    """A rectangle of one random colour over the given share of the pictures.

    The paper draws again until the rectangle fits, and fills it with noise. Here a side that is too long is cut to the
    picture's, height to width is drawn as likely above as below 1, and the colour is one for all of it.
    """
    _, channels, height, width = pictures.shape
    area = AREA[0] + (AREA[1] - AREA[0]) * draws[:, Column.AREA]
    slim = torch.exp((draws[:, Column.ASPECT] - 0.5) * -math.log(SLIMMEST))  # square root of height to width
    side = torch.sqrt(area * height * width)
    high = (side * slim).round().clamp(1, height)
    wide = (side / slim).round().clamp(1, width)
    top = (draws[:, Column.TOP] * (height - high + 1)).floor()
    left = (draws[:, Column.LEFT] * (width - wide + 1)).floor()
    chosen = inside(top, left, top + high, left + wide, (height, width))
    chosen &= (draws[:, Column.ERASE] < share)[:, None, None, None]
    colour = (draws[:, Column.RED : Column.RED + channels] * 255).round()
    return torch.where(chosen, colour[:, :, None, None], pictures)
