"""Attribution maps of images by all methods at once, and the deletion score that compares the methods."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.explanation.gradcam import average_follows, gradcam, hirescam
from eyespot.explanation.integrated_gradients import integrated_gradients
from eyespot.explanation.network import Network
from eyespot.explanation.occlusion import occlusion, plain_background
from eyespot.random import seed_for
from eyespot.shapes import Float32, Int64, UInt8

MapMethod = Literal["gradcam", "hirescam", "occlusion", "integrated-gradients"]
MAP_METHODS: tuple[MapMethod, ...] = get_args(MapMethod)
CAMS = {"gradcam": gradcam, "hirescam": hirescam}
TITLES: dict[str, str] = {
    "gradcam": "Grad-CAM",
    "hirescam": "HiResCAM",
    "occlusion": "Occlusion",
    "integrated-gradients": "Integrated gradients",
}
TELLS_PLACES_APART = (
    "Grad-CAM averages gradients over places, which this model's last layers tell apart: where it differs from "
    "HiResCAM, go by that."
)
STEPS = 28


@dataclass(frozen=True)
class Completeness:
    """Whether integrated gradients add up.

    Attributes:
        difference: the class's logit of the picture less that of the background alone.
        gap: the sum of the attributions less that difference.
        share: the gap, without its sign, as a share of the difference, or of one logit where that is smaller.
        steps: from the background to the picture.
    """

    difference: float
    gap: float
    share: float
    steps: int


@dataclass(frozen=True, eq=False)
class PictureMaps:
    """Attribution maps of one class on one picture.

    Attributes:
        label: the class that is explained.
        logit: the model's, of that class.
        background: what stood for nothing there, a level 0-255 a channel.
        maps: `[height, width]` by method, above 0 where the picture speaks for the class; the two CAMs know
            nothing below 0 and only relative levels, the others are in logits. Integrated gradients are added up over
            the channels.
        completeness: of integrated gradients, if those were asked for.
    """

    label: int
    logit: float
    background: Float32[np.ndarray, " channels"]
    maps: dict[str, Float32[np.ndarray, "height width"]] = field(default_factory=dict)
    completeness: Completeness | None = None


@dataclass(frozen=True, eq=False)
class ExplainedImages:
    """The maps of several pictures, and sentences about methods that do not suit the model."""

    pictures: list[PictureMaps]
    notes: list[str]


def explain_images(
    model: keras.Model | Network,
    images: UInt8[np.ndarray, "n height width channels"],
    labels: Int64[np.ndarray, " n"],
    methods: Sequence[str] = MAP_METHODS,
    level: float | None = None,
) -> ExplainedImages:
    """Explains a class of each picture; needs no files, and draws nothing.

    What is explained is the class's logit, before the softmax: where a model is sure, its probability hardly moves.

    Args:
        model: a built Keras classifier that takes pixels 0-255 and ends in softmax.
        labels: the class to explain, of each picture: its label, or what was predicted.
        methods: which of MAP_METHODS.
        level: 0-255, of the plain background; None: the median along each picture's own edges.

    Raises:
        ModelError: the model is not built of layers, or takes other pictures.
    """
    network = model if isinstance(model, Network) else Network(model)
    background = plain_background(images, level)
    logits = network.logits(images)
    maps: list[dict[str, Float32[np.ndarray, "height width"]]] = [{} for _ in images]
    completeness: list[Completeness | None] = [None] * len(images)
    notes = []
    for method in methods:
        try:
            if method in CAMS:
                method_maps = CAMS[method](network, images, labels)
            elif method == "occlusion":
                method_maps = occlusion(network.logits, images, labels, background)
            else:
                attributions = integrated_gradients(network, images, labels, background)
                method_maps = attributions.values.sum(axis=-1)
                figures = zip(
                    attributions.differences, attributions.gaps, attributions.shares, attributions.steps, strict=True
                )
                completeness = [Completeness(float(d), float(g), float(s), int(n)) for d, g, s, n in figures]
        except ModelError as error:
            notes.append(f"{TITLES[method]} is left out: {error}")
            continue
        if method == "gradcam" and not average_follows(network):
            notes.append(TELLS_PLACES_APART)
        for image_maps, image_map in zip(maps, method_maps, strict=True):
            image_maps[method] = image_map
    rows = zip(labels, logits, background, maps, completeness, strict=True)
    pictures = [
        PictureMaps(int(label), float(image_logits[label]), plain_level, by_method, check)
        for label, image_logits, plain_level, by_method, check in rows
    ]
    return ExplainedImages(pictures, notes)


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


def deletion(  # noqa: PLR0913 - the image, its map and the settings
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
    ranks = np.empty(found.size, np.int64)
    ranks[order] = np.arange(found.size)
    counts = np.round(np.linspace(0, found.size, steps + 1))
    masks = (ranks[None] < counts[:, None]).reshape(-1, *found.shape)
    pictures = np.where(masks[..., None], background, image).astype(np.float32)
    return Deletion((counts / found.size).astype(np.float32), network.probabilities(pictures)[:, label])
