"""Bias, maximum pool, leaky ReLU and dropout as one pass over a GPU's memory."""

from typing import Any

import torch
from torch import Tensor
from triton import cdiv

from eyespot.engine.epilogue_spec import EpilogueSpec, as_pictures
from eyespot.engine.kernels.cuda.epilogue import BLOCK, backward, forward
from eyespot.engine.stage import Parameter, Pass


class CudaEpilogueStage:
    """A tail behind a convolution or a dense layer, or behind nothing.

    Args:
        bias: of the layer before; its gradient is summed here.
    """

    def __init__(self, tail: EpilogueSpec, bias: Parameter | None) -> None:
        self.tail, self.bias = tail, bias
        self.parameters = [bias] if bias else []
        self.how = " + ".join([*(["bias"] if bias else []), *tail.names]) + ", fused"

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]; any other shape keeps it."""
        tail, saved, shape = self.tail, passing.of(self), inputs[0].shape
        values = inputs[0].contiguous().view(as_pictures(shape))
        saved.shape, saved.picture_shape = shape, values.shape
        output = torch.empty(tail.output_shape(values.shape), dtype=values.dtype, device=values.device)
        saved.code = torch.empty_like(output, dtype=torch.uint8)
        drops = passing.step.training and tail.rate > 0
        saved.growth = tail.growth if drops else 1.0
        keys = passing.step.keys_on(values.device) if drops else saved.code  # not read
        forward[cdiv(output.numel(), BLOCK),](
            values, output, saved.code, keys, output.numel(), *_sides(saved), tail.slope, saved.growth,
            **self._window(saved), DROPS=drops, STAGE=tail.index, THRESHOLD=tail.threshold, BLOCK=BLOCK,
        )  # fmt: skip
        return output if len(shape) == len(values.shape) else output.view(shape)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradients of the values and, summed over them, of the bias."""
        saved = passing.of(self)
        input_gradient = torch.empty(saved.picture_shape, dtype=gradient.dtype, device=gradient.device)
        backward[cdiv(input_gradient.numel(), BLOCK),](
            gradient.contiguous(), saved.code, input_gradient, input_gradient.numel(), *_sides(saved), self.tail.slope,
            saved.growth, **self._window(saved), BLOCK=BLOCK,
        )  # fmt: skip
        if self.bias:
            passing.add(self.bias, input_gradient.sum((0, 1, 2), dtype=torch.float32))
        return [input_gradient.view(saved.shape)]

    def _window(self, saved: Any) -> dict[str, Any]:
        """Constants that the kernels are compiled for."""
        height, width, top, left = self.tail.window
        return {
            "CHANNELS": saved.picture_shape[-1], "WINDOW_HEIGHT": height, "WINDOW_WIDTH": width,
            "TOP": top, "LEFT": left,
        }  # fmt: skip


def _sides(saved: Any) -> tuple[int, int, int, int]:
    """Height and width before and after."""
    _, height, width, _ = saved.picture_shape
    return height, width, saved.code.shape[1], saved.code.shape[2]
