"""Integrated gradients: the class's logit shared out over the pixels, with nothing left over."""

from dataclasses import dataclass

import numpy as np

from eyespot.explanation.network import Network
from eyespot.shapes import Float32, Float64, Int64, UInt8

STEPS = (32, 64, 128, 256, 512, 1024)
TOLERANCE = 0.01  # of the difference to be shared out
LEAST_DIFFERENCE = 1.0  # logits: below that, the gap is measured against one logit


@dataclass(frozen=True, eq=False)
class Attributions:
    """Contribution of each pixel, and how well the contributions add up.

    Attributes:
        values: `[n, height, width, channels]`, in logits.
        differences: the class's logit of the picture less that of the background alone, which they should add up to.
        gaps: by how much they do not: the sum less the difference.
        steps: from the background to the picture, as many as brought the gap below the tolerance, or the most.
    """

    values: Float32[np.ndarray, "n height width channels"]
    differences: Float64[np.ndarray, " n"]
    gaps: Float64[np.ndarray, " n"]
    steps: Int64[np.ndarray, " n"]

    @property
    def shares(self) -> Float64[np.ndarray, " n"]:
        """The gaps, without their sign, as shares of the differences, or of one logit where those are smaller."""
        shares: Float64[np.ndarray, " n"] = np.abs(self.gaps) / np.maximum(np.abs(self.differences), LEAST_DIFFERENCE)
        return shares


def integrated_gradients(
    network: Network,
    images: UInt8[np.ndarray, "n height width channels"],
    labels: Int64[np.ndarray, " n"],
    background: Float32[np.ndarray, "n channels"],
    steps: tuple[int, ...] = STEPS,
) -> Attributions:
    """The gradient of the class's logit along the straight way from the background to the picture, times the way.

    Sundararajan et al. 2017 (arXiv:1703.01365), equation 1, by the midpoint rule; the check is their axiom of
    completeness. What a picture needs of steps differs a hundredfold, so they are doubled until the gap is small.

    Args:
        labels: the class to explain, of each picture.
        background: where the way begins, levels 0-255.
        steps: tried in turn, until the gap is at most one per cent of the difference.

    Raises:
        ModelError: no gradient reaches the pixels.
    """
    offsets = np.subtract(images, background[:, None, None], dtype=np.float32)
    starts = np.broadcast_to(background[:, None, None], offsets.shape)
    rows = np.arange(len(images))
    differences = (network.logits(images) - network.logits(starts))[rows, labels].astype(np.float64)
    attributions = Attributions(
        np.zeros_like(offsets), differences, np.full(len(images), np.inf), np.zeros(len(images), np.int64)
    )
    for count in steps:
        open_rows = np.flatnonzero(attributions.shares > TOLERANCE)
        for row in open_rows:
            mean = _mean_gradient(network, starts[row], offsets[row], labels[row : row + 1], count)
            attributions.values[row] = mean * offsets[row]
            attributions.gaps[row] = attributions.values[row].sum(dtype=np.float64) - differences[row]
            attributions.steps[row] = count
    return attributions


def _mean_gradient(
    network: Network,
    start: Float32[np.ndarray, "height width channels"],
    offset: Float32[np.ndarray, "height width channels"],
    label: Int64[np.ndarray, " 1"],
    steps: int,
) -> Float64[np.ndarray, "height width channels"]:
    """The mean of the gradients at the middle of each step."""
    total = np.zeros(offset.shape)
    for first in range(0, steps, network.batch):
        places = np.arange(first, min(steps, first + network.batch), dtype=np.float32)
        shares = (places + np.float32(0.5)) / np.float32(steps)
        pixels = network.pixels(start + shares[:, None, None, None] * offset, gradient=True)
        logits = network.values(pixels)[-1]
        slopes = network.gradient(logits, np.repeat(label, len(shares)), pixels)
        total += slopes.sum(dim=0).cpu().numpy()
    mean: Float64[np.ndarray, "height width channels"] = total / steps
    return mean
