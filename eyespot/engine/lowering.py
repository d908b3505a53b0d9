"""Lowering: from a built Keras model to the stages that compute the same, a rule for each kind of layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Stage
from eyespot.engine.stages.fallback import KerasStage
from eyespot.engine.stages.linear import ConvolutionStage, DenseStage
from eyespot.engine.stages.normalization import BatchNormalizationStage
from eyespot.engine.stages.pointwise import (
    ActivationStage,
    CastStage,
    DropoutStage,
    LeakyReluStage,
    MultiplyStage,
    NormalizationStage,
    RescalingStage,
    ScaleStage,
)
from eyespot.engine.stages.pooling import AveragePoolStage, GlobalAverageStage, GlobalMaxStage, MaxPoolStage
from eyespot.engine.stages.reshaping import AddStage, ConcatenateStage, ReshapeStage, ZeroPaddingStage
from eyespot.errors import ModelError
from eyespot.models.graph import Call, ends_in_softmax, kind_of_operation, trace

layers, ops = keras.layers, keras.ops
WITH_ACTIVATION = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)
FUNCTIONS = (
    ops.relu6, ops.sigmoid, ops.silu, ops.hard_sigmoid, ops.hard_silu, ops.gelu, ops.tanh, ops.elu, ops.selu,
    ops.softplus, ops.softmax,
)  # fmt: skip
MOVES_VALUES = (ReshapeStage, ConcatenateStage)  # of any dtype
TAKE_ANY_DTYPE = (RescalingStage, NormalizationStage, *MOVES_VALUES, KerasStage, CastStage)


@dataclass(frozen=True)
class PlacedStage:
    """One stage in its place.

    Attributes:
        name: of the Keras layer it comes from.
        inputs: which values go in: 0 is the pixels, k + 1 what stage k gives.
        needs_input_gradient: something before it learns, so its inputs' gradients are needed.
        learns: it, or something before it, learns; otherwise its backward pass is left out.
    """

    stage: Stage
    name: str
    inputs: tuple[int, ...]
    needs_input_gradient: bool
    learns: bool


def lower(model: keras.Model, parameters: Parameters) -> list[PlacedStage]:
    """The stages from pixels to logits, in the order they run; the softmax at the end belongs to the loss.

    Args:
        parameters: takes in every variable a stage uses; its dtype is that of activations and products.

    Raises:
        ModelError: the model is not built, has several inputs or outputs, or does not end in softmax.
    """
    graph = trace(model)
    if None in graph.input.shape[1:]:
        raise ModelError(f"{model.name} takes images of any size; the engine runs models for one.")
    stage_list = _StageList(parameters)
    positions = {id(graph.input): 0}
    for index, call in enumerate(graph.calls):
        inputs = [positions[id(tensor)] for tensor in call.inputs]
        stages = _stages(CallSite(call, index, parameters), is_last=call.output is graph.output)
        positions[id(call.output)] = stage_list.add(stages, call.layer.name, inputs, call.output.dtype)
    if positions[id(graph.output)] != len(stage_list.lowered):
        raise ModelError(f"{model.name} has layers after its output.")
    _check_whole(model, parameters)
    return stage_list.lowered


class _StageList:
    """The stages so far.

    Attributes:
        learns: of each value, whether something before it learns.
        raw: the values that are not in the dtype of the computation: pixels, integers.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.lowered: list[PlacedStage] = []
        self.learns, self.raw = [False], {0}
        self._dtype = parameters.dtype
        self._casts: dict[int, int] = {}

    def add(self, stages: Sequence[Stage], name: str, inputs: Sequence[int], dtype: str) -> int:
        """Puts a call's stages at the end, one after the other; returns which value is their output."""
        positions = tuple(inputs)
        for stage in stages:
            if not isinstance(stage, TAKE_ANY_DTYPE):
                positions = tuple(
                    self._cast(position, name) if position in self.raw else position for position in positions
                )
            positions = (self._append(stage, name, positions, dtype),)
        return positions[0]

    def _cast(self, position: int, name: str) -> int:
        if position not in self._casts:
            self._casts[position] = self._append(CastStage(self._dtype), name, (position,), "float32")
        return self._casts[position]

    def _append(self, stage: Stage, name: str, positions: tuple[int, ...], dtype: str) -> int:
        trains = any(parameter.variable.trainable for parameter in stage.parameters)
        inputs_learn = any(self.learns[position] for position in positions)
        self.learns.append(inputs_learn or trains)
        self.lowered.append(PlacedStage(stage, name, positions, inputs_learn, inputs_learn or trains))
        stays_raw = isinstance(stage, MOVES_VALUES) and set(positions) <= self.raw
        if stays_raw or (isinstance(stage, KerasStage) and not dtype.startswith(("float", "bfloat"))):
            self.raw.add(len(self.lowered))
        return len(self.lowered)


@dataclass(frozen=True)
class CallSite:
    """The call that stages replace, its index, and the program's variables."""

    call: Call
    index: int
    parameters: Parameters


def _stages(site: CallSite, *, is_last: bool) -> list[Stage]:
    """The stages of one call: a layer's arithmetic, then its activation; at the end without the softmax."""
    layer = site.call.layer
    activation = getattr(layer, "activation", None) or keras.activations.linear
    ends = is_last and ends_in_softmax(layer)
    if is_last and not ends:
        raise ModelError(f"{layer.name}, the last layer, must be softmax or end in it.")
    if ends and type(layer) in (layers.Softmax, layers.Activation):
        return []
    maker = STAGE_MAKERS.get(type(layer))  # the exact type: a subclass may compute something else
    plain = site.call.is_plain or not isinstance(layer, keras.Layer)  # an operation's arguments are its maker's to read
    stages = maker(site) if maker and plain and _is_usual(layer) else None
    follows = activation_stages(activation) if type(layer) in WITH_ACTIVATION and not ends else []
    if stages is not None and follows is not None and _in_float32(site, stages):
        return [*stages, *follows]
    if ends:
        raise ModelError(f"{layer.name}, the last layer, must be Dense or softmax, not {type(layer).__name__}.")
    return [KerasStage(site.call, site.parameters)]


StageMaker = Callable[[CallSite], list[Stage] | None]  # the stages in a row; None: Keras is to run this one


def _normalization(site: CallSite) -> list[Stage] | None:
    return [NormalizationStage(site.call.layer, site.parameters.dtype)]


def _convolution(site: CallSite) -> list[Stage] | None:
    layer = site.call.layer
    is_supported = layer.padding in {"same", "valid"}
    return [ConvolutionStage(layer, site.call.inputs[0].shape[1:], site.parameters)] if is_supported else None


def _separable(site: CallSite) -> list[Stage] | None:
    """A depthwise convolution and one of single pixels, which use the layer's own variables."""
    layer, shape = site.call.layer, site.call.inputs[0].shape[1:]
    settings = {name: getattr(layer, name) for name in ("kernel_size", "strides", "padding", "dilation_rate")}
    depthwise = layers.DepthwiseConv2D(depth_multiplier=layer.depth_multiplier, use_bias=False, **settings)
    depthwise.kernel = layer.depthwise_kernel
    pointwise = _PointwiseConvolution(layer.filters, 1, use_bias=layer.use_bias)
    pointwise.kernel, pointwise.bias = layer.pointwise_kernel, layer.bias
    between = depthwise.compute_output_shape((None, *shape))[1:]
    return [
        ConvolutionStage(depthwise, shape, site.parameters),
        ConvolutionStage(pointwise, between, site.parameters),
    ]


def _batch_normalization(site: CallSite) -> list[Stage] | None:
    layer = site.call.layer
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    is_last_axis = axis in (-1, len(site.call.inputs[0].shape) - 1)
    return [BatchNormalizationStage(layer, site.parameters)] if is_last_axis and not layer.renorm else None


def activation_stages(function: Callable[..., Any]) -> list[Stage] | None:
    """The stages of an activation function; None of a layer in its place, which may have weights or draw numbers."""
    if function is keras.activations.linear:
        return []
    if function is keras.activations.relu:
        return [LeakyReluStage(0)]
    return None if isinstance(function, keras.Operation) else [ActivationStage(function)]


def _relu(site: CallSite) -> list[Stage] | None:
    layer = site.call.layer
    settings = {name: getattr(layer, name) for name in ("negative_slope", "max_value", "threshold")}
    if layer.threshold or layer.max_value is not None:
        return [ActivationStage(partial(keras.activations.relu, **settings))]
    return [LeakyReluStage(float(layer.negative_slope))]


def _softmax(site: CallSite) -> list[Stage] | None:
    axis = site.call.layer.axis
    return [ActivationStage(partial(keras.activations.softmax, axis=axis))] if isinstance(axis, int) else None


def _dropout(site: CallSite) -> list[Stage] | None:
    layer = site.call.layer
    return [DropoutStage(layer, site.index)] if layer.noise_shape is None else None


def _add(site: CallSite) -> list[Stage] | None:
    return [AddStage()] if _alike(site) else None


def _multiply(site: CallSite) -> list[Stage] | None:
    return [MultiplyStage()] if _alike(site) else None


def _operator(two: StageMaker | None, one: Callable[[float], tuple[float, float]], reflected: Any) -> StageMaker:
    """A stage maker of an operator on two tensors, or on a tensor x and a number c.

    Args:
        two: makes it for two tensors; None: left to Keras.
        one: what `x o c` multiplies x with, and then adds.
        reflected: the same of `c o x`; None where that is no such product.
    """

    def make(site: CallSite) -> list[Stage] | None:
        arguments = site.call.node.arguments
        if arguments.kwargs or len(arguments.args) != 2:  # noqa: PLR2004
            return None
        numbers = [value for value in arguments.args if isinstance(value, int | float)]
        if not numbers:
            # The same tensor twice is two inputs, an array or a variable none.
            tensors = len(site.call.inputs) == 2  # noqa: PLR2004
            return two(site) if two and tensors else None
        rule = one if numbers[0] is arguments.args[1] else reflected
        return [ScaleStage(*rule(float(numbers[0])))] if rule and all(numbers) else None

    return make


def _cast(site: CallSite) -> list[Stage] | None:
    return [CastStage(site.parameters.dtype)]


STAGE_MAKERS: dict[type, StageMaker] = {
    layers.Rescaling: lambda site: [RescalingStage(site.call.layer, site.parameters)],
    layers.Normalization: _normalization,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.SeparableConv2D: _separable,
    layers.Dense: lambda site: [DenseStage(site.call.layer, site.parameters)],
    layers.MaxPooling2D: lambda site: [MaxPoolStage(site.call.layer, site.call.inputs[0].shape[1:])],
    layers.AveragePooling2D: lambda site: [AveragePoolStage(site.call.layer, site.call.inputs[0].shape[1:])],
    layers.GlobalAveragePooling2D: lambda site: [GlobalAverageStage(site.call.layer)],
    layers.GlobalMaxPooling2D: lambda site: [GlobalMaxStage(site.call.layer)],
    layers.BatchNormalization: _batch_normalization,
    layers.Activation: lambda site: activation_stages(site.call.layer.activation),
    layers.ReLU: _relu,
    layers.LeakyReLU: lambda site: [LeakyReluStage(float(site.call.layer.negative_slope))],
    layers.Softmax: _softmax,
    layers.Identity: lambda _: [],
    layers.Dropout: _dropout,
    layers.Flatten: lambda _: [ReshapeStage((-1,))],
    layers.Reshape: lambda site: [ReshapeStage(tuple(site.call.output.shape[1:]))],
    layers.ZeroPadding2D: lambda site: [ZeroPaddingStage(site.call.layer)],
    layers.Add: _add,
    layers.Multiply: _multiply,
    layers.Concatenate: lambda site: [ConcatenateStage(site.call.layer.axis)],
    kind_of_operation(ops.add, 1): _operator(_add, lambda c: (1, c), lambda c: (1, c)),
    kind_of_operation(ops.subtract, 1): _operator(None, lambda c: (1, -c), lambda c: (-1, c)),
    kind_of_operation(ops.multiply, 1): _operator(_multiply, lambda c: (c, 0), lambda c: (c, 0)),
    kind_of_operation(ops.divide, 1): _operator(None, lambda c: (1 / c, 0), None),
    kind_of_operation(ops.true_divide, 1): _operator(None, lambda c: (1 / c, 0), None),
    kind_of_operation(ops.cast, "float32"): _cast,
    kind_of_operation(ops.relu): lambda _: [LeakyReluStage(0)],
    **{kind_of_operation(function): lambda site: [ActivationStage(site.call.layer)] for function in FUNCTIONS},
}


class _PointwiseConvolution(keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution by another layer's kernel: in `Conv2D` the kernel is a property without a setter."""

    kernel = None


def _alike(site: CallSite) -> bool:
    """Whether all are float32 of one rank: integers wrap around, and Keras's layers put missing axes elsewhere."""
    tensors = site.call.inputs
    return all(tensor.dtype == "float32" and len(tensor.shape) == len(tensors[0].shape) for tensor in tensors)


def _is_usual(layer: keras.Operation) -> bool:
    """Whether it computes as its class does, in float32, on channels that come last, with weights as they are."""
    plain = getattr(layer, "data_format", "channels_last") == "channels_last"
    float32 = getattr(layer, "compute_dtype", "float32") in {"float32", "uint8"}
    regularized = getattr(layer, "activity_regularizer", None) is not None
    adapted = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    return plain and float32 and not regularized and not adapted and "call" not in vars(layer)


def _in_float32(site: CallSite, stages: list[Stage]) -> bool:
    """Whether Keras would give float32 too; integers have arithmetic of their own."""
    return site.call.output.dtype == "float32" or all(isinstance(stage, MOVES_VALUES) for stage in stages)


def _check_whole(model: keras.Model, parameters: Parameters) -> None:
    """Raises a ModelError where some weights that the model learns would stay as they are."""
    used = {id(parameter.variable) for parameter in parameters}
    unused = [variable.path for variable in model.trainable_variables if id(variable) not in used]
    if unused:
        raise ModelError(f"{model.name} has weights that none of its layers' calls use: {', '.join(unused)}.")
