"""Descriptors of pictures that stay nearly the same where a picture is stored again, resized or made brighter.

Each picture is smoothed and sampled on a coarse grid, and its mean taken away and its length made 1, so that neither
brightness nor contrast counts. Smoothing before sampling is what tells a resized copy from another picture of the same
kind: with a Gaussian of 1.5 pixels on Fashion-MNIST, 99 % of changed copies lie nearer to their original than 0.0009,
and 0.23 % of other pictures that near to any; with means over blocks it is 3 % (benchmarks/audit.py).
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from eyespot.data.rows import Rows, chunks
from eyespot.shapes import Float32, Shaped

GRID = 9  # samples a side
SMOOTHING = 1.5 / 28  # of the picture's side: the Gaussian's standard deviation
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601), as JPEG has it
CHROMA = 0.5  # weight of colour differences, which JPEG stores at half the size
BLANK = 1.0  # below this standard deviation, of 255, a picture shows nothing to compare


def describe(images: Shaped[np.ndarray, "..."] | Rows) -> Float32[np.ndarray, "n d"]:
    """A unit vector for each picture; all 0 where a picture is blank, so that it is like no other.

    The cosine of two is 1 where one picture is the other with another brightness and contrast.
    """
    return np.concatenate([_describe(part) for part in chunks(images)])


def _describe(images: Shaped[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n d"]:
    height, width = images.shape[1:3]
    sigma = (0, height * SMOOTHING, width * SMOOTHING, 0)
    smooth = gaussian_filter(_luma_first(images.astype(np.float32)), sigma)
    rows, columns = (np.round((np.arange(GRID) + 0.5) * side / GRID - 0.5).astype(int) for side in (height, width))
    vectors = smooth[:, rows][:, :, columns].reshape(len(images), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    shown = lengths > BLANK * np.sqrt(vectors.shape[1])
    return np.where(shown, vectors / np.maximum(lengths, 1e-6), 0).astype(np.float32)


def _luma_first(
    images: Float32[np.ndarray, "n height width channels"],
) -> Float32[np.ndarray, "n height width channels"]:
    """Grey as it is; of colours, the luma and two differences from it."""
    if images.shape[3] == 1:
        return images
    luma = images @ LUMA
    return np.stack([luma, CHROMA * (images[..., 0] - luma), CHROMA * (images[..., 2] - luma)], axis=3)
