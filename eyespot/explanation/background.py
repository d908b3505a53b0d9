"""What stands for "nothing there" in a picture."""

import numpy as np

from eyespot.shapes import Float32, UInt8


def plain_background(
    images: UInt8[np.ndarray, "n height width channels"], level: float | None = None
) -> Float32[np.ndarray, "n channels"]:
    """A level 0-255 for each channel of each picture, which is put where something is taken out.

    Args:
        level: of a background that is known; None: the median along the picture's own edges.
    """
    count, _, _, channels = images.shape
    if level is not None:
        return np.full((count, channels), level, np.float32)
    edges = [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]]
    levels: Float32[np.ndarray, "n channels"] = np.median(np.concatenate(edges, axis=1), axis=1).astype(np.float32)
    return levels
