"""Random networks of the layers the engine knows: whatever is drawn, Keras and the engine must agree on it."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from eyespot.backend import keras
from eyespot.data.dataset import Split
from tests.engine.compare import agrees, hows, rounding

layers = keras.layers
Draw = Callable[[Any], Any]
Tensor: TypeAlias = keras.KerasTensor

ACTIVATIONS = ("linear", "relu", "leaky_relu", "relu6", "tanh", "sigmoid", "silu", "gelu", "elu", "hard_silu")
LARGEST = 1500  # values a picture may have on its way
activation = st.sampled_from(ACTIVATIONS)
few, either = st.integers(1, 3), st.booleans()


def window(draw: Draw, x: Tensor, *, dilates: bool) -> dict[str, Any]:
    """A window that fits into the picture, with what moves it."""
    padding, dilation = draw(st.sampled_from(["valid", "same"])), draw(st.integers(1, 2)) if dilates else 1
    sides = x.shape[1:3]
    if padding == "valid":
        size = tuple(draw(st.integers(1, max(1, min(4, (side - 1) // dilation + 1)))) for side in sides)
    else:
        size = tuple(draw(st.integers(1, 4)) for _ in sides)
    stride = 1 if dilation > 1 else draw(few)  # Keras has no strides with dilation
    return {"size": size, "strides": stride, "padding": padding, "dilation": dilation}


def kernel(draw: Draw, x: Tensor) -> dict[str, Any]:
    """What all convolutions take."""
    drawn = window(draw, x, dilates=True)
    return {
        "kernel_size": drawn["size"], "strides": drawn["strides"], "padding": drawn["padding"],
        "dilation_rate": drawn["dilation"], "use_bias": draw(either), "activation": draw(activation),
        "trainable": draw(st.sampled_from([True, True, False])),
    }  # fmt: skip


def convolution(draw: Draw, x: Tensor) -> Tensor:
    groups = draw(st.sampled_from([count for count in (1, 2, 3, 4) if x.shape[-1] % count == 0]))
    return layers.Conv2D(groups * draw(few), groups=groups, **kernel(draw, x))(x)


def depthwise(draw: Draw, x: Tensor) -> Tensor:
    return layers.DepthwiseConv2D(depth_multiplier=draw(st.integers(1, 2)), **kernel(draw, x))(x)


def separable(draw: Draw, x: Tensor) -> Tensor:
    return layers.SeparableConv2D(draw(few), depth_multiplier=draw(st.integers(1, 2)), **kernel(draw, x))(x)


def pool(draw: Draw, x: Tensor) -> Tensor:
    kind = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
    drawn = window(draw, x, dilates=False)
    return kind(drawn["size"], draw(st.sampled_from([None, drawn["strides"]])), drawn["padding"])(x)


def normalization(draw: Draw, x: Tensor) -> Tensor:
    return layers.BatchNormalization(
        momentum=draw(st.sampled_from([0.5, 0.99])), scale=draw(either), center=draw(either), trainable=draw(either)
    )(x)


def pointwise(draw: Draw, x: Tensor) -> Tensor:
    kinds = [
        layers.ReLU(), layers.ReLU(1.0), layers.LeakyReLU(0.2), layers.Identity(), layers.Dropout(0.0),
        layers.Rescaling(0.5, 0.1), layers.Normalization(mean=0.1, variance=2.0),
    ]  # fmt: skip
    # Of one channel softmax makes ones, and batch normalisation of those nothing but rounding.
    return draw(st.sampled_from([*kinds, layers.Softmax()] if x.shape[-1] > 1 else kinds))(x)


def activated(draw: Draw, x: Tensor) -> Tensor:
    return layers.Activation(draw(activation))(x)


def padded(draw: Draw, x: Tensor) -> Tensor:
    sides = [[draw(st.integers(0, 2)) for _ in range(2)] for _ in range(2)]
    return layers.ZeroPadding2D(sides)(x)


def reshaped(draw: Draw, x: Tensor) -> Tensor:
    height, width, channels = x.shape[1:]
    return layers.Reshape(draw(st.permutations([height, width, channels])))(x)


def dense(draw: Draw, x: Tensor) -> Tensor:
    return layers.Dense(draw(few), use_bias=draw(either), activation=draw(activation))(x)


def number(draw: Draw, x: Tensor) -> Tensor:
    return draw(st.sampled_from([lambda x: 2 * x, lambda x: x / 3 + 1.0, lambda x: 1 - x, lambda x: x * x]))(x)


def joined(draw: Draw, x: Tensor) -> Tensor:
    """Two ways that meet again."""
    side = settled(draw, chain(draw, x, 2), x)
    if draw(either):
        return layers.Concatenate(draw(st.sampled_from([-1, 3])))([side, x])
    fitting = layers.Conv2D(x.shape[-1], draw(few), padding="same")(side)
    return draw(st.sampled_from([layers.Add(), layers.Multiply(), lambda both: both[0] + both[1]]))([fitting, x])


def settled(draw: Draw, side: Tensor, x: Tensor) -> Tensor:
    """A way whose picture is as large as the other's, or else a new one."""
    same = side.shape[1:3] == x.shape[1:3]
    return side if same else layers.Conv2D(draw(few), 3, padding="same", activation="relu")(x)


def gated(draw: Draw, x: Tensor) -> Tensor:
    """Squeeze and excitation."""
    kind = draw(st.sampled_from([layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D]))
    gate = layers.Dense(x.shape[-1], activation=draw(st.sampled_from(["sigmoid", "hard_sigmoid"])))
    return layers.Multiply()([x, gate(kind(keepdims=True)(x))])


STEPS = (
    convolution, convolution, depthwise, separable, pool, pool, normalization, normalization, pointwise, activated,
    padded, reshaped, dense, number, joined, gated,
)  # fmt: skip


def chain(draw: Draw, x: Tensor, most: int) -> Tensor:
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=most)):
        stepped = step(draw, x)
        x = stepped if np.prod(stepped.shape[1:]) <= LARGEST else x
    return x


def network(draw: Draw) -> keras.Model:
    """A small classifier of three classes with weights from a drawn seed."""
    keras.utils.set_random_seed(draw(st.integers(0, 10_000)))
    shape = draw(st.integers(4, 9)), draw(st.integers(4, 9)), draw(st.sampled_from([1, 3]))
    pixels = keras.Input(shape, dtype=draw(st.sampled_from(["uint8", "float32"])))
    x = chain(draw, layers.Rescaling(1 / 127.5, offset=-1)(pixels), 5)
    end = draw(st.sampled_from([layers.Flatten(), layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D()]))
    x = end(x)
    if draw(either):
        x = layers.BatchNormalization()(layers.Dense(4, activation=draw(activation))(x))
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(x))
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in {"bias", "beta", "moving_mean"}:  # else zero, where mistakes would not show
            variable.assign(generator.normal(0, 0.2, variable.shape))
        elif variable.name in {"gamma", "moving_variance"}:
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return model


def _settings(layer: keras.Layer) -> dict[str, Any]:
    return {key: value for key, value in layer.get_config().items() if isinstance(value, int | float | str | tuple)}


def check(model: keras.Model) -> None:
    note("\n".join(f"{type(layer).__name__} -> {layer.output.shape} {_settings(layer)}" for layer in model.layers))
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (16, *model.input_shape[1:])).astype(np.uint8)
    pictures = Split(images, generator.integers(0, 3, 16))
    # Normalisation of what hardly varies magnifies rounding, in Keras as here: by how much is measured.
    program = agrees(model, pictures, 1e-5 + 10 * rounding(model, pictures))
    assert "Keras" not in hows(program)


patient = [HealthCheck.too_slow, HealthCheck.data_too_large]
common = settings(deadline=None, database=None, suppress_health_check=patient)


@settings(common, max_examples=25, derandomize=True)
@given(st.data())
def test_random_networks_agree_with_keras(data: st.DataObject):
    """Loss, gradients, outputs and moving statistics are Keras's, whatever layers stand in a row or in branches."""
    check(network(data.draw))


@pytest.mark.slow
@settings(common, max_examples=300)
@given(st.data())
def test_many_random_networks_agree_with_keras(data: st.DataObject):
    """The same of three hundred networks, new ones each time."""
    check(network(data.draw))
