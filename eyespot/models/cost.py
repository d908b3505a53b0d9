"""What a model costs: parameters and multiply-adds."""

import math

from eyespot.backend import keras
from eyespot.models.graph import Call, trace

layers = keras.layers


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of convolutions and dense layers for one picture; the other layers' work is not counted."""
    return sum(_multiply_adds(call) for call in trace(model).calls)


def _multiply_adds(call: Call) -> int:
    layer = call.layer
    outputs = math.prod(call.output.shape[1:])
    if isinstance(layer, layers.SeparableConv2D):
        depthwise, pointwise = math.prod(layer.depthwise_kernel.shape), math.prod(layer.pointwise_kernel.shape)
        return int(outputs // layer.filters * (depthwise + pointwise))
    if isinstance(layer, layers.Conv2DTranspose):
        return int(math.prod(call.inputs[0].shape[1:3]) * math.prod(layer.kernel.shape))
    if isinstance(layer, layers.DepthwiseConv2D):
        return int(outputs * math.prod(layer.kernel_size))
    if isinstance(layer, layers.Conv2D):
        # kernel [height, width, input channels of a group, outputs]
        return int(outputs * math.prod(layer.kernel.shape[:3]))
    if isinstance(layer, layers.Dense):
        return int(outputs * layer.kernel.shape[0])
    return 0
