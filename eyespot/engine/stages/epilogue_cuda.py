"""Bias, maximum pool, leaky ReLU and dropout as one pass over a GPU's memory."""

from typing import Any

import torch
from torch import Tensor
from triton import cdiv

from eyespot.engine.kernels.cuda.epilogue import BLOCK, backward, forward
from eyespot.engine.stage import Parameter, Step
from eyespot.engine.tail import Tail, as_pictures


class CudaEpilogueStage:
    """A tail behind a convolution or a dense layer, or behind nothing.

    Args:
        bias: of the layer before; its gradient is summed here.
    """

    def __init__(self, tail: Tail, bias: Parameter | None) -> None:
        self.tail, self.bias = tail, bias
        self.parameters = [bias] if bias else []
        self.how = " + ".join([*(["bias"] if bias else []), *tail.names]) + ", fused"

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]; any other shape keeps it."""
        tail, self.shape = self.tail, inputs[0].shape
        values = inputs[0].contiguous().view(as_pictures(self.shape))
        self.picture_shape = values.shape
        output = torch.empty(tail.output_shape(values.shape), dtype=values.dtype, device=values.device)
        self.code = torch.empty_like(output, dtype=torch.uint8)
        drops = step.training and tail.rate > 0
        self.growth = tail.growth if drops else 1.0
        keys = step.keys_on(values.device) if drops else self.code  # not read
        forward[cdiv(output.numel(), BLOCK),](
            values, output, self.code, keys, output.numel(), *self._sides(), tail.slope, self.growth,
            **self._window(), DROPS=drops, STAGE=tail.index, THRESHOLD=tail.threshold, BLOCK=BLOCK,
        )  # fmt: skip
        return output if len(self.shape) == len(values.shape) else output.view(self.shape)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """The gradients of the values and, summed over them, of the bias."""
        upstream = torch.empty(self.picture_shape, dtype=gradient.dtype, device=gradient.device)
        backward[cdiv(upstream.numel(), BLOCK),](
            gradient.contiguous(), self.code, upstream, upstream.numel(), *self._sides(), self.tail.slope, self.growth,
            **self._window(), BLOCK=BLOCK,
        )  # fmt: skip
        if self.bias:
            self.bias.add(upstream.sum((0, 1, 2), dtype=torch.float32))
        return [upstream.view(self.shape)]

    def _sides(self) -> tuple[int, int, int, int]:
        """Height and width before and after."""
        _, height, width, _ = self.picture_shape
        return height, width, self.code.shape[1], self.code.shape[2]

    def _window(self) -> dict[str, Any]:
        """What the kernels are compiled for."""
        height, width, top, left = self.tail.window
        return {
            "CHANNELS": self.picture_shape[-1], "WINDOW_HEIGHT": height, "WINDOW_WIDTH": width,
            "TOP": top, "LEFT": left,
        }  # fmt: skip
