"""Deletion: a map is worth something if a class goes as the pixels go that the map names first."""

from dataclasses import dataclass

import numpy as np

from eyespot.explanation.network import Network
from eyespot.seeds import seed_for
from eyespot.shapes import Float32, UInt8

STEPS = 28


@dataclass(frozen=True, eq=False)
class Deletion:
    """A class's probability as pixels are taken out.

    Attributes:
        shares: of the pixels that are gone, from 0 to 1, `[steps + 1]`.
        probabilities: of the class, `[steps + 1]`.
    """

    shares: Float32[np.ndarray, " steps"]
    probabilities: Float32[np.ndarray, " steps"]

    @property
    def area(self) -> float:
        """Under the curve, between 0 and 1; the lower, the better the map."""
        return float(np.trapezoid(self.probabilities, self.shares))


def deletion(  # noqa: PLR0913 - all that it can be told
    network: Network,
    image: UInt8[np.ndarray, "height width channels"],
    label: int,
    found: Float32[np.ndarray, "height width"],
    background: Float32[np.ndarray, " channels"],
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> Deletion:
    """Takes pixels out in the order of a map, the highest first, and follows the probability of a class.

    Petsiuk et al. 2018 (arXiv:1806.07421), section 4.2. Pixels that the map has equal go in random order.

    Args:
        found: a map of the picture.
        background: what is left where a pixel is gone, levels 0-255.
        steps: in how many equal parts they go.
        seed: of the random order.
    """
    shuffled = np.random.default_rng(seed_for(seed, "deletion")).permutation(found.size)
    order = shuffled[np.argsort(-found.ravel()[shuffled], kind="stable")]
    places = np.empty(found.size, np.int64)
    places[order] = np.arange(found.size)
    gone = np.round(np.linspace(0, found.size, steps + 1))
    hidden = (places[None] < gone[:, None]).reshape(-1, *found.shape)
    pictures = np.where(hidden[..., None], background, image).astype(np.float32)
    return Deletion((gone / found.size).astype(np.float32), network.probabilities(pictures)[:, label])
