"""Rejection: how unlike anything a model has seen a picture is, from its pixels and the model's features of it.

Three measures, each 0 for a usual picture and 1 for one that is stranger than 99 % of the pictures held out; the
largest of them counts, since each sees what the others overlook (benchmarks/rejection.py).

- Features: the squared Mahalanobis distance from the nearest class mean (Lee et al. 2018, arXiv:1807.03888), of
  vectors brought to length 1, without which a large picture of the right kind would count as strange (Müller and Hein
  2025, arXiv:2505.18032).
- Pixels: the same distance from the mean picture, which is large for what training images are not composed of, such
  as noise.
- Contrast: a blank picture lies near the mean of many, and a network says of it whatever its biases say.

Covariances are those of probabilistic PCA (Tipping and Bishop 1999): a few directions, and noise in all others.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyespot.errors import UsageError
from eyespot.shapes import Float32, Float64, Shaped, UInt8

NONE_OF_THESE = "none of these"
DEFAULT_RATE = 0.01
VERSION = 1
LARGEST_GRID = 32  # pixels a side; larger pictures are compared by means over blocks
SHORTEST = 1e-6  # below this length, a vector has no direction
LEVELS = 1001  # quantiles that are kept: rates in steps of 0.001
LEAST_CONTRAST = 0.01  # of 255: where a blank picture's strangeness ends
KINDS = ("<f2", "<f4")  # of numbers, as NumPy calls them


@dataclass(frozen=True)
class Gaussian:
    """One normal distribution around several means.

    Attributes:
        means: `[k, d]`.
        directions: unit vectors `[q, d]` in which the variance differs from the rest.
        variances: along each of them, `[q]`.
        rest: the variance in every other direction.
        usual, high: of the distances of the pictures held out, the median and the 99 % quantile.
    """

    means: Float32[np.ndarray, "k d"]
    directions: Float32[np.ndarray, "q d"]
    variances: Float32[np.ndarray, " q"]
    rest: float
    usual: float = 0.0
    high: float = 1.0

    def distances(self, values: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """The squared Mahalanobis distance of each row from the mean that is nearest by it."""
        means = self.means.astype(np.float64)
        weights = 1 / self.rest - 1 / self.variances.astype(np.float64)
        projections = values @ self.directions.T
        nearest: Float64[np.ndarray, " n"] = np.full(len(values), np.inf)
        for mean, projected_mean in zip(means, means @ self.directions.T, strict=True):
            distance = ((values - mean) ** 2).sum(axis=1) / self.rest - ((projections - projected_mean) ** 2) @ weights
            nearest = np.minimum(nearest, distance)
        return nearest

    def strangeness(self, distances: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """0 where a distance is usual and 1 where it is high."""
        strangeness: Float64[np.ndarray, " n"] = (distances - self.usual) / (self.high - self.usual)
        return strangeness

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "means": _packed(self.means, "<f2"),
            "directions": _packed(self.directions, "<f2"),
            "variances": _packed(self.variances, "<f4"),
            "rest": self.rest,
            "usual": self.usual,
            "high": self.high,
        }

    @classmethod
    def from_dict(cls, values: Any) -> "Gaussian":
        """The opposite of `to_dict`; raises ValueError, KeyError or TypeError where it is none."""
        means, directions, variances = (_unpacked(values[name]) for name in ("means", "directions", "variances"))
        rest, usual, high = (_finite(values[name]) for name in ("rest", "usual", "high"))
        if means.ndim != 2 or not len(means) or directions.shape != (len(variances), means.shape[1]):  # noqa: PLR2004
            raise ValueError(f"means {means.shape}, directions {directions.shape}, variances {variances.shape}")
        if rest <= 0 or usual >= high or (variances <= 0).any():
            raise ValueError("a spread that is not above 0")
        return cls(means, directions, variances, rest, usual, high)


@dataclass(frozen=True)
class Rejection:
    """Detector of pictures that a model knows nothing about.

    Attributes:
        features: of the model's features, with a mean for each class.
        pixels: of the pictures, with one mean.
        faintest: the contrast that nearly all training images have, a standard deviation in 0-255.
        quantiles: of the strangeness of the pictures held out, from the least to the most, `[1001]`.
        source: which pictures those are: `validation`, or `train` where there was no validation data.
        pictures: how many.
    """

    features: Gaussian
    pixels: Gaussian
    faintest: float
    quantiles: Float32[np.ndarray, " levels"]
    source: str
    pictures: int

    def strangeness(
        self, images: UInt8[np.ndarray, "n height width channels"], features: Float32[np.ndarray, "n d"]
    ) -> Float64[np.ndarray, " n"]:
        """Strangeness of each picture: above `threshold`, it is none of the classes.

        Args:
            features: what the model makes of them: its output `features`.
        """
        return self.largest(*self.measures(images, features))

    def measures(
        self, images: UInt8[np.ndarray, "n height width channels"], features: Float32[np.ndarray, "n d"]
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Contrast of each picture, and the distances of its features and its pixels."""
        feature_distances, pixel_distances = (
            self.features.distances(directed(features)),
            self.pixels.distances(flat(shrunk(images))),
        )
        return contrasts(images), feature_distances, pixel_distances

    def largest(
        self, contrast: Float64[np.ndarray, " n"], far: Float64[np.ndarray, " n"], off: Float64[np.ndarray, " n"]
    ) -> Float64[np.ndarray, " n"]:
        """The largest strangeness by the three `measures`."""
        faintness = self.faintest / 2 / np.maximum(contrast, LEAST_CONTRAST)
        remoteness = np.maximum(self.features.strangeness(far), self.pixels.strangeness(off))
        strangeness: Float64[np.ndarray, " n"] = np.maximum(faintness, remoteness)
        return strangeness

    def threshold(self, rate: float = DEFAULT_RATE) -> float:
        """The strangeness that a share of `rate` of the pictures held out exceeds.

        Raises:
            UsageError: the rate does not lie between 0 and 1.
        """
        if not 0 < rate < 1:
            raise UsageError(f"The rejection rate must lie strictly between 0 and 1; received {rate:g}.")
        return float(np.interp(1 - rate, np.linspace(0, 1, len(self.quantiles)), self.quantiles))

    def dump(self) -> str:
        """The rejection as text, for the metadata of `model.onnx`."""
        values = {
            "version": VERSION, "source": self.source, "pictures": self.pictures, "faintest": self.faintest,
            "quantiles": _packed(self.quantiles, "<f4"), "features": self.features.to_dict(),
            "pixels": self.pixels.to_dict(),
        }  # fmt: skip
        return json.dumps(values)

    @classmethod
    def read(cls, text: str, input_shape: tuple[int, int, int]) -> "Rejection":
        """The opposite of `dump`.

        Raises:
            ValueError, KeyError, TypeError: it is damaged, or of pictures of another size than `input_shape`.
        """
        values = json.loads(text)
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']!r} of the rejection")
        features, pixels = Gaussian.from_dict(values["features"]), Gaussian.from_dict(values["pixels"])
        expected = flat(shrunk(np.zeros((1, *input_shape), np.uint8))).shape[1]
        if pixels.means.shape[1] != expected:
            raise ValueError(f"{pixels.means.shape[1]} pixels, where a picture has {expected}")
        quantiles = _unpacked(values["quantiles"])
        if quantiles.shape != (LEVELS,) or (np.diff(quantiles) < 0).any():
            raise ValueError("quantiles that do not rise")
        return cls(
            features, pixels, _finite(values["faintest"]), quantiles, str(values["source"]), int(values["pictures"])
        )


def _packed(array: Shaped[np.ndarray, "..."], kind: str) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
    return {"kind": kind, "shape": list(array.shape), "data": data}


def _unpacked(values: dict[str, Any]) -> Float32[np.ndarray, "..."]:
    if values["kind"] not in KINDS:
        raise ValueError(f"numbers of the kind {values['kind']!r}")
    data = base64.b64decode(values["data"], validate=True)
    array: Float32[np.ndarray, ...] = np.frombuffer(data, values["kind"]).reshape(values["shape"]).astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("a number that is not finite")
    return array


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def directed(features: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Vectors brought to length 1."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Float32[np.ndarray, "n d"] = features / np.maximum(lengths, np.float32(SHORTEST))
    return unit


def flat(grid: Float32[np.ndarray, "n rows columns channels"]) -> Float32[np.ndarray, "n d"]:
    """One row of numbers a picture."""
    return grid.reshape(len(grid), -1)


def shrunk(images: UInt8[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n rows columns channels"]:
    """Pixels as 0-1; of pictures above 32 pixels a side, means over blocks, the last row and column repeated."""
    n, height, width, channels = images.shape
    block = -(-max(height, width) // LARGEST_GRID)
    padded = np.pad(images, ((0, 0), (0, -height % block), (0, -width % block), (0, 0)), mode="edge")
    blocks = padded.reshape(n, -(-height // block), block, -(-width // block), block, channels)
    grid: Float32[np.ndarray, "n rows columns channels"] = blocks.mean(axis=(2, 4), dtype=np.float32) / 255
    return grid


def contrasts(images: UInt8[np.ndarray, "n height width channels"]) -> Float64[np.ndarray, " n"]:
    """The standard deviation of each picture's pixels, 0-255, the mean over its channels."""
    count = images.shape[1] * images.shape[2]
    sums = images.sum(axis=(1, 2), dtype=np.int64)
    squares = np.einsum("nhwc,nhwc->nc", images, images, dtype=np.int64)  # no copy in another type
    deviations: Float64[np.ndarray, " n"] = (np.sqrt(count * squares - sums**2) / count).mean(axis=1)
    return deviations
