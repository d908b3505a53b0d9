"""Network: a Keras classifier taken apart into its calls, for gradients between any two of its values."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.special import softmax

from eyespot.backend import keras  # before PyTorch, whose threads it has wait briefly

# isort: split
import torch
from torch import Tensor

from eyespot.errors import ModelError
from eyespot.models.graph import Call, ends_in_softmax, trace
from eyespot.shapes import Float32, Int64, Shaped

layers = keras.layers
LARGEST_BATCH, BATCH_PIXELS = 64, 2**18  # images at once, and their pixels: values of 64 photographs take gigabytes


class Network:
    """A classifier as a list of calls, from floating-point pixels to logits.

    Logits, since probabilities saturate: where a model is sure, its probability has next to no gradient.

    Attributes:
        name: the model's.
        input_shape: (height, width, channels) of its images.
        classes: how many logits it gives.
        calls: in an order in which each can run.
        batch: images to run at once.

    Raises:
        ModelError: it is not built of layers, has several inputs or outputs, takes images of any size, or does not
            end in softmax.
    """

    def __init__(self, model: keras.Model) -> None:
        graph = trace(model)
        size = tuple(graph.input.shape[1:])
        if None in size:
            raise ModelError(f"{model.name} takes images of any size; a model for one size can be explained.")
        if not graph.calls or graph.calls[-1].output is not graph.output or not ends_in_softmax(graph.calls[-1].layer):
            raise ModelError(f"{model.name} must end in softmax: what is explained is what goes into it, the logits.")
        self.name: str = model.name
        self.input_shape: tuple[int, ...] = size
        self.classes = int(graph.output.shape[-1])
        self.calls = graph.calls
        self.batch = max(1, min(LARGEST_BATCH, BATCH_PIXELS // math.prod(size[:2])))
        self._input = graph.input
        self._done_after = _last_uses(graph.calls)

    def pixels(self, images: Shaped[np.ndarray, "n height width channels"], *, gradient: bool = False) -> Tensor:
        """Pictures as the model's first value: levels 0-255 in float32, whatever type its input has.

        Raises:
            ModelError: they have another size than the model takes.
        """
        if images.shape[1:] != self.input_shape:
            raise ModelError(f"{self.name} takes images of {self.input_shape}; these are {images.shape[1:]}.")
        values: Tensor = keras.ops.convert_to_tensor(np.ascontiguousarray(images, np.float32))
        return values.requires_grad_(gradient)

    def values(self, pixels: Tensor) -> list[Tensor]:
        """Output of each call, in order, as at inference; the last are the logits, in float32."""
        computed: dict[int, Any] = {id(self._input): pixels}
        outputs = []
        for call in self.calls:
            inputs = [computed[id(tensor)] for tensor in call.inputs]
            outputs.append(
                _without_softmax(call, inputs) if call is self.calls[-1] else call.run(inputs, training=False)
            )
            computed[id(call.output)] = outputs[-1]
        return [*outputs[:-1], outputs[-1].float()]

    def logits(self, images: Shaped[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
        """Each image's logits."""
        with torch.no_grad():
            parts = [
                self._last(self.pixels(images[start : start + self.batch])).cpu().numpy()
                for start in range(0, len(images), self.batch)
            ]
        return np.concatenate(parts)

    def _last(self, pixels: Tensor) -> Tensor:
        """The logits alone; a value is kept until its last use."""
        computed: dict[int, Any] = {id(self._input): pixels}
        for index, call in enumerate(self.calls[:-1]):
            inputs = [computed[id(tensor)] for tensor in call.inputs]
            computed[id(call.output)] = call.run(inputs, training=False)
            for tensor in self._done_after[index]:
                del computed[tensor]
        last = self.calls[-1]
        return _without_softmax(last, [computed[id(tensor)] for tensor in last.inputs]).float()

    def probabilities(self, images: Shaped[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
        """Each image's probabilities, at temperature 1."""
        shares: Float32[np.ndarray, "n classes"] = softmax(self.logits(images), axis=1)
        return shares

    def gradient(self, logits: Tensor, labels: Int64[np.ndarray, " n"], value: Tensor) -> Tensor:
        """The gradient of each image's logit of its label by a value that the logits were computed from.

        Raises:
            ModelError: none gets there: the model rounds or compares on the way.
        """
        total = logits[torch.arange(len(labels)), torch.from_numpy(labels)].sum()
        (slopes,) = torch.autograd.grad(total, [value], allow_unused=True) if total.requires_grad else (None,)
        if slopes is None:
            raise ModelError(f"{self.name} rounds or compares on the way, which no gradient passes.")
        return slopes


def _last_uses(calls: Sequence[Call]) -> list[set[int]]:
    """For each call, the values (by id) that no later call needs."""
    last = {id(tensor): index for index, call in enumerate(calls) for tensor in call.inputs}
    done: list[set[int]] = [set() for _ in calls]
    for tensor, index in last.items():
        done[index].add(tensor)
    return done


def _without_softmax(call: Call, inputs: list[Any]) -> Any:
    if isinstance(call.layer, layers.Softmax) or type(call.layer) is layers.Activation:
        return inputs[0]
    with _linear(call.layer):
        return call.run(inputs, training=False)


@contextmanager
def _linear(layer: keras.Layer) -> Iterator[None]:
    """Within it, the layer has no activation."""
    activation = layer.activation
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation
