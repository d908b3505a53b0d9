"""What a model costs: parameters and multiply-adds."""

import math

from eyespot.backend import keras
from eyespot.models.graph import Call, trace

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of convolutions and dense layers for one picture; the other layers' work is not counted."""
    return sum(_multiply_adds(call) for call in trace(model).calls)


def _multiply_adds(call: Call) -> int:
    outputs = math.prod(call.output.shape[1:])
    if isinstance(call.layer, CONVOLUTIONS):
        # kernel [height, width, input channels of a group, outputs]; depthwise: [height, width, channels, multiplier]
        height, width, inputs, _ = call.layer.kernel.shape
        depthwise = isinstance(call.layer, keras.layers.DepthwiseConv2D)
        return int(outputs * height * width * (1 if depthwise else inputs))
    if isinstance(call.layer, keras.layers.Dense):
        return int(outputs * call.layer.kernel.shape[0])
    return 0
