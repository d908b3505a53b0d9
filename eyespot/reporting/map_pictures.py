"""Explanations of pictures inside a page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from eyespot.explanation.maps import PictureMaps
from eyespot.reporting.explanation import DIVERGING
from eyespot.reporting.thumbnails import data_uri
from eyespot.shapes import Float32, Int64, UInt8

UNDERNEATH = 0.35  # how much of the picture is seen through a map


@dataclass(frozen=True, eq=False)
class ExplainedMistakes:
    """Why a model was wrong, as far as maps say it.

    Attributes:
        rows: of the split that counts.
        pictures: the maps of each, of the class that it was taken for.
        notes: sentences about methods that the model leaves no room for, or that suit it ill.
    """

    rows: Int64[np.ndarray, " n"]
    pictures: Sequence[PictureMaps]
    notes: Sequence[str]


def map_picture(found: Float32[np.ndarray, "height width"], image: UInt8[np.ndarray, "height width channels"]) -> str:
    """A map over its picture, as data: red speaks for the class, blue against it, white says nothing."""
    most = float(np.abs(found).max()) or 1.0
    colours = colormaps[DIVERGING](0.5 + found / (2 * most))[..., :3]
    grey = image.mean(axis=-1, keepdims=True) / 255
    mixed = (1 - UNDERNEATH) * colours + UNDERNEATH * grey
    return data_uri((255 * mixed).round().astype(np.uint8))
