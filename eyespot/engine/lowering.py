"""Lowering: from a built Keras model to the stages that compute the same."""

from collections.abc import Callable
from dataclasses import dataclass

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Stage
from eyespot.engine.stages.convolution import ConvolutionStage
from eyespot.engine.stages.dense import DenseStage
from eyespot.engine.stages.fallback import KerasStage
from eyespot.engine.stages.normalization import BatchNormalizationStage
from eyespot.engine.stages.pointwise import ActivationStage, DropoutStage, LeakyReluStage, RescalingStage
from eyespot.engine.stages.pooling import GlobalAverageStage, MaxPoolStage
from eyespot.engine.stages.shape import AddStage, ConcatenateStage, ReshapeStage, ZeroPaddingStage
from eyespot.errors import ModelError
from eyespot.models.graph import Call, trace

layers = keras.layers


@dataclass(frozen=True)
class Site:
    """Where a stage is to stand: the call it replaces, which one that is, and the program's variables."""

    call: Call
    index: int
    parameters: Parameters


@dataclass(frozen=True)
class Lowered:
    """One stage in its place.

    Attributes:
        name: of the Keras layer it comes from.
        inputs: which values go in: 0 is the pixels, k + 1 what stage k gives.
        wanted: something before it learns, so its inputs' gradients are needed.
        learns: it, or something before it, learns; otherwise its backward pass is left out.
    """

    stage: Stage
    name: str
    inputs: tuple[int, ...]
    wanted: bool
    learns: bool


def lower(model: keras.Model, parameters: Parameters) -> list[Lowered]:
    """The stages from pixels to logits, in the order they run; the softmax at the end belongs to the loss.

    Args:
        parameters: takes in every variable a stage uses; its dtype is that of activations and products.

    Raises:
        ModelError: the model is not built, has several inputs or outputs, or does not end in softmax.
    """
    graph = trace(model)
    places, learns = {id(graph.input): 0}, [False]
    lowered: list[Lowered] = []
    for index, call in enumerate(graph.calls):
        inputs = tuple(places[id(tensor)] for tensor in call.inputs)
        for stage in _stages(Site(call, index, parameters), is_last=call.output is graph.output):
            trains = any(parameter.variable.trainable for parameter in stage.parameters)
            wanted = any(learns[place] for place in inputs)
            learns.append(wanted or trains)
            lowered.append(Lowered(stage, call.layer.name, inputs, wanted, wanted or trains))
            inputs = (len(lowered),)
        places[id(call.output)] = inputs[0]
    if places[id(graph.output)] != len(lowered):
        raise ModelError(f"{model.name} has layers after its output.")
    return lowered


def _stages(site: Site, *, is_last: bool) -> list[Stage]:
    """The stages of one call: a layer's arithmetic, then its activation; at the end without the softmax."""
    layer = site.call.layer
    activation = getattr(layer, "activation", None) or keras.activations.linear
    ends = is_last and (type(layer) is layers.Softmax or activation is keras.activations.softmax)
    if is_last and not ends:
        raise ModelError(f"{layer.name}, the last layer, must be softmax or end in it.")
    if type(layer) in (layers.Softmax, layers.Activation) and ends:
        return []
    maker = MAKERS.get(type(layer))  # the exact type: a subclass may compute something else
    made = maker(site) if maker and _is_usual(layer) else None
    if made is None:
        if ends:
            raise ModelError(f"{layer.name}, the last layer, must be Dense or softmax, not {type(layer).__name__}.")
        return [KerasStage(site.call, site.parameters)]
    follows = [] if ends or type(layer) not in WITH_ACTIVATION else _activation(activation)
    return [made, *follows]


def _is_usual(layer: keras.Layer) -> bool:
    """Whether it computes in float32 on channels that come last, with weights that are used as they are."""
    plain = getattr(layer, "data_format", "channels_last") == "channels_last"
    float32 = getattr(layer, "compute_dtype", "float32") in {"float32", "uint8"}
    regularized = getattr(layer, "activity_regularizer", None) is not None
    adapted = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    return plain and float32 and not regularized and not adapted


def _activation(function: Callable[..., object]) -> list[Stage]:
    if function is keras.activations.linear:
        return []
    if function is keras.activations.relu:
        return [LeakyReluStage(0)]
    return [ActivationStage(function)]


def _relu(site: Site) -> Stage | None:
    layer = site.call.layer
    if layer.threshold or layer.max_value is not None:
        return None
    return LeakyReluStage(float(layer.negative_slope))


def _batch_normalization(site: Site) -> Stage | None:
    layer = site.call.layer
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    last = axis in (-1, len(site.call.inputs[0].shape) - 1)
    return BatchNormalizationStage(layer, site.parameters) if last and not layer.renorm else None


def _dropout(site: Site) -> Stage | None:
    layer = site.call.layer
    return DropoutStage(layer, site.index) if layer.noise_shape is None else None


def _convolution(site: Site) -> Stage | None:
    layer = site.call.layer
    known = layer.padding in {"same", "valid"}
    return ConvolutionStage(layer, site.call.inputs[0].shape[1:], site.parameters) if known else None


def _plain_activation(site: Site) -> Stage | None:
    made = _activation(site.call.layer.activation)
    return made[0] if made else None


def _add(site: Site) -> Stage | None:
    same = len({tuple(tensor.shape) for tensor in site.call.inputs}) == 1
    return AddStage() if same else None


WITH_ACTIVATION = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
MAKERS: dict[type, Callable[[Site], Stage | None]] = {
    layers.Rescaling: lambda site: RescalingStage(site.call.layer, site.parameters.dtype),
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.Dense: lambda site: DenseStage(site.call.layer, site.parameters),
    layers.MaxPooling2D: lambda site: MaxPoolStage(site.call.layer, site.call.inputs[0].shape[1:]),
    layers.GlobalAveragePooling2D: lambda site: GlobalAverageStage(site.call.layer),
    layers.BatchNormalization: _batch_normalization,
    layers.Activation: _plain_activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: lambda site: LeakyReluStage(float(site.call.layer.negative_slope)),
    layers.Dropout: _dropout,
    layers.Flatten: lambda _: ReshapeStage((-1,)),
    layers.Reshape: lambda site: ReshapeStage(tuple(site.call.output.shape[1:])),
    layers.ZeroPadding2D: lambda site: ZeroPaddingStage(site.call.layer),
    layers.Add: _add,
    layers.Concatenate: lambda site: ConcatenateStage(site.call.layer.axis),
}
