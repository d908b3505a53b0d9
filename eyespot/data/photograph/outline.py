"""Where the one object of a small picture is: by this, training pictures are measured and others compared with them."""

from dataclasses import dataclass

import numpy as np

from eyespot.shapes import Bool, Float32, UInt8

OBJECT = 0.25  # a pixel belongs to the object from this share of the strongest one's distance to the background
STRONGEST = 99.0  # percentile of a picture's pixels
SAME_LEVEL = 25.5  # a tenth of the range


@dataclass(frozen=True)
class Outline:
    """An object's bounding box and centre of mass, as shares of the picture's height and width."""

    top: float
    bottom: float
    left: float
    right: float
    mass_row: float
    mass_column: float
    strength: float

    @property
    def height(self) -> float:
        """Of the bounding box."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Of the bounding box."""
        return self.right - self.left

    @property
    def box_row(self) -> float:
        """Centre of the bounding box."""
        return (self.top + self.bottom) / 2

    @property
    def box_column(self) -> float:
        """Centre of the bounding box."""
        return (self.left + self.right) / 2


def edge_pixels(image: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, " edge"]:
    """The outermost ring of a picture."""
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def distances(
    image: UInt8[np.ndarray, "height width"], background: float, *, lighter: bool
) -> Float32[np.ndarray, "height width"]:
    """How far each pixel is from the background towards the object, in [0, 255]."""
    difference = image.astype(np.float32) - np.float32(background)
    towards: Float32[np.ndarray, "height width"] = np.maximum(difference if lighter else -difference, 0)
    return towards


def object_mask(distance: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The pixels that belong to the object; none in an empty picture."""
    strength = float(np.percentile(distance, STRONGEST))
    return distance > max(OBJECT * strength, SAME_LEVEL)


def outline(distance: Float32[np.ndarray, "height width"]) -> Outline | None:
    """Of the object in a picture of distances from the background; None for an empty picture."""
    mask = object_mask(distance)
    if not mask.any():
        return None
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    total = float(distance.sum())
    return Outline(
        top=float(rows[0]) / height,
        bottom=float(rows[-1] + 1) / height,
        left=float(columns[0]) / width,
        right=float(columns[-1] + 1) / width,
        mass_row=float(distance.sum(axis=1) @ (np.arange(height) + 0.5)) / total / height,
        mass_column=float(distance.sum(axis=0) @ (np.arange(width) + 0.5)) / total / width,
        strength=float(np.percentile(distance[mask], 90)) / 255,
    )
