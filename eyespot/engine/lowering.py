"""Lowering: from a built Keras model to the stages that compute the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from eyespot.backend import keras
from eyespot.engine.makers import MAKERS, WITH_ACTIVATION, Site, activation_stages
from eyespot.engine.stage import Parameters, Stage
from eyespot.engine.stages.arithmetic import CastStage
from eyespot.engine.stages.fallback import KerasStage
from eyespot.engine.stages.pointwise import NormalizationStage, RescalingStage
from eyespot.engine.stages.shape import ReshapeStage
from eyespot.errors import ModelError
from eyespot.models.graph import trace

layers = keras.layers
TAKE_ANY_DTYPE = (RescalingStage, NormalizationStage, ReshapeStage, KerasStage, CastStage)


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
    if None in graph.input.shape[1:]:
        raise ModelError(f"{model.name} takes pictures of any size; the engine runs models for one.")
    row = _Row(parameters)
    places = {id(graph.input): 0}
    for index, call in enumerate(graph.calls):
        inputs = [places[id(tensor)] for tensor in call.inputs]
        stages = _stages(Site(call, index, parameters), is_last=call.output is graph.output)
        places[id(call.output)] = row.add(stages, call.layer.name, inputs, call.output.dtype)
    if places[id(graph.output)] != len(row.lowered):
        raise ModelError(f"{model.name} has layers after its output.")
    _check_whole(model, parameters)
    return row.lowered


class _Row:
    """The stages so far.

    Attributes:
        learns: of each value, whether something before it learns.
        raw: the values that are not in the dtype of the computation: pixels, integers.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.lowered: list[Lowered] = []
        self.learns, self.raw = [False], {0}
        self._dtype = parameters.dtype
        self._casts: dict[int, int] = {}

    def add(self, stages: Sequence[Stage], name: str, inputs: Sequence[int], dtype: str) -> int:
        """Puts a call's stages at the end, one after the other; returns which value is their output."""
        places = tuple(inputs)
        for stage in stages:
            if not isinstance(stage, TAKE_ANY_DTYPE):
                places = tuple(self._cast(place, name) if place in self.raw else place for place in places)
            places = (self._append(stage, name, places, dtype),)
        return places[0]

    def _cast(self, place: int, name: str) -> int:
        if place not in self._casts:
            self._casts[place] = self._append(CastStage(self._dtype), name, (place,), "float32")
        return self._casts[place]

    def _append(self, stage: Stage, name: str, places: tuple[int, ...], dtype: str) -> int:
        trains = any(parameter.variable.trainable for parameter in stage.parameters)
        wanted = any(self.learns[place] for place in places)
        self.learns.append(wanted or trains)
        self.lowered.append(Lowered(stage, name, places, wanted, wanted or trains))
        kept = isinstance(stage, ReshapeStage) and places[0] in self.raw
        if kept or (isinstance(stage, KerasStage) and not dtype.startswith(("float", "bfloat"))):
            self.raw.add(len(self.lowered))
        return len(self.lowered)


def _stages(site: Site, *, is_last: bool) -> list[Stage]:
    """The stages of one call: a layer's arithmetic, then its activation; at the end without the softmax."""
    layer = site.call.layer
    activation = getattr(layer, "activation", None) or keras.activations.linear
    ends = is_last and (type(layer) is layers.Softmax or activation is keras.activations.softmax)
    if is_last and not ends:
        raise ModelError(f"{layer.name}, the last layer, must be softmax or end in it.")
    if ends and type(layer) in (layers.Softmax, layers.Activation):
        return []
    maker = MAKERS.get(type(layer))  # the exact type: a subclass may compute something else
    plain = site.call.is_plain or not isinstance(layer, keras.Layer)  # an operation's arguments are its maker's to read
    made = maker(site) if maker and plain and _is_usual(layer) else None
    follows = activation_stages(activation) if type(layer) in WITH_ACTIVATION and not ends else []
    if made is not None and follows is not None and _in_float32(site, made):
        return [*made, *follows]
    if ends:
        raise ModelError(f"{layer.name}, the last layer, must be Dense or softmax, not {type(layer).__name__}.")
    return [KerasStage(site.call, site.parameters)]


def _is_usual(layer: keras.Operation) -> bool:
    """Whether it computes as its class does, in float32, on channels that come last, with weights as they are."""
    plain = getattr(layer, "data_format", "channels_last") == "channels_last"
    float32 = getattr(layer, "compute_dtype", "float32") in {"float32", "uint8"}
    regularized = getattr(layer, "activity_regularizer", None) is not None
    adapted = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    return plain and float32 and not regularized and not adapted and "call" not in vars(layer)


def _in_float32(site: Site, made: list[Stage]) -> bool:
    """Whether Keras would give float32 too; integers have arithmetic of their own."""
    return site.call.output.dtype == "float32" or all(isinstance(stage, ReshapeStage) for stage in made)


def _check_whole(model: keras.Model, parameters: Parameters) -> None:
    """Raises a ModelError where some weights that the model learns would stay as they are."""
    known = {id(parameter.variable) for parameter in parameters}
    left = [variable.path for variable in model.trainable_variables if id(variable) not in known]
    if left:
        raise ModelError(f"{model.name} has weights that none of its layers' calls use: {', '.join(left)}.")
