"""The lowered program against plain Keras: the same weights, the same pictures, the same numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.errors import ModelError
from eyespot.models.architectures import ARCHITECTURES, build
from tests.conftest import make_split
from tests.engine.compare import DEVICE, agrees, compiled, difference, hows

layers, ops = keras.layers, keras.ops
FUNCTIONS = (
    "linear", "relu6", "silu", "sigmoid", "tanh", "hard_sigmoid", "hard_silu", "selu", "softplus", "mish", "leaky_relu",
    "exponential",
)  # fmt: skip
NETWORKS: dict[str, list[Any]] = {
    "convolution": [layers.Conv2D(4, 3, padding="same", activation="relu")],
    "uneven same padding": [layers.Conv2D(4, 2, padding="same"), layers.Conv2D(4, 3, strides=2, padding="same")],
    "strides and no bias": [layers.Conv2D(4, (5, 3), strides=(2, 3), use_bias=False)],
    "dilation": [layers.Conv2D(4, 3, dilation_rate=2, padding="same", activation="tanh")],
    "groups": [layers.Conv2D(8, 1), layers.Conv2D(4, 3, groups=4)],
    "depthwise": [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="elu")],
    "max pools": [layers.Conv2D(4, 3), layers.MaxPooling2D(2, padding="same"), layers.MaxPooling2D(3, strides=1)],
    "overlapping max pool": [layers.Conv2D(4, 3), layers.MaxPooling2D(3, strides=2, padding="same")],
    "average pools": [
        layers.Conv2D(4, 3), layers.AveragePooling2D(3, strides=1, padding="same"), layers.AveragePooling2D(2),
    ],
    "average pools with uneven padding": [
        layers.Conv2D(4, 3), layers.AveragePooling2D((3, 2), strides=2, padding="same"),
        layers.AveragePooling2D(2, strides=1, padding="same"),
    ],
    "global maximum": [layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(), layers.Dense(5)],
    "global maximum, kept": [layers.ReLU(), layers.Conv2D(4, 3, activation="relu6"),
        layers.GlobalMaxPooling2D(keepdims=True)],
    "normalization": [layers.Normalization(mean=[0.3], variance=[4.0]), layers.Conv2D(4, 3)],
    "normalization, undone": [layers.Conv2D(4, 3), layers.Normalization(mean=0.3, variance=4.0, invert=True)],
    "separable": [
        layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", activation="relu"),
        layers.SeparableConv2D(5, 2, strides=2, use_bias=False),
    ],
    "global average": [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(5)],
    "global average, kept": [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(keepdims=True)],
    "batch normalisation": [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()],
    "batch normalisation of features": [
        layers.Flatten(), layers.Dense(6), layers.BatchNormalization(scale=False), layers.Activation("relu"),
    ],
    "batch normalisation without shift": [layers.Conv2D(4, 3), layers.BatchNormalization(center=False)],
    "frozen batch normalisation": [layers.Conv2D(4, 3), layers.BatchNormalization(trainable=False)],
    "frozen convolution": [layers.Conv2D(4, 3, trainable=False), layers.Conv2D(4, 3)],
    "activations": [layers.Conv2D(4, 3, activation="gelu"), layers.LeakyReLU(0.3), layers.ReLU(max_value=0.8)],
    "bent activations": [layers.Conv2D(4, 3), layers.ReLU(6.0, negative_slope=0.2, threshold=0.1), layers.ReLU(6.0)],
    "softmax in the middle": [layers.Conv2D(4, 3, activation="softmax"), layers.Softmax(1), layers.Identity()],
    **{name: [layers.Conv2D(4, 3), layers.Activation(name)] for name in FUNCTIONS},
    "padding and reshape": [layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Conv2D(4, 3), layers.Reshape((-1, 2))],
    "layers that Keras runs": [
        layers.LayerNormalization(), layers.PReLU(), layers.Conv2DTranspose(3, 2), layers.UpSampling2D(2),
    ],
    "a layer as an activation, which Keras runs": [layers.Conv2D(4, 3, activation=layers.PReLU())],
}  # fmt: skip


def network(middle: list[keras.Layer]) -> keras.Model:
    """Some layers between pixels and three classes, with weights drawn from a fixed seed."""
    keras.utils.set_random_seed(7)
    copies = [type(layer).from_config(layer.get_config()) for layer in middle]
    start = [keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 127.5, offset=-1)]
    return keras.Sequential([*start, *copies, layers.Flatten(), layers.Dense(3, activation="softmax")])


def branches() -> keras.Model:
    """A residual and a concatenation; one convolution is used twice."""
    keras.utils.set_random_seed(7)
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    start = layers.Rescaling(1 / 255)(pixels)
    wide = layers.Conv2D(4, 3, padding="same", activation="relu")(start)
    shared = layers.Conv2D(4, 3, padding="same")
    summed = layers.Add()([shared(wide), shared(shared(wide)), wide])
    joined = layers.Concatenate()([summed, start, wide + 1.0])
    return keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(joined)))


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_agree_with_keras(name: str, bars: Dataset):
    """Every layer the lowering knows, and those it leaves to Keras, give Keras's numbers forward and backward."""
    program = agrees(network(NETWORKS[name]), bars.train)
    assert ("Keras" in hows(program)) == ("Keras runs" in name)


def test_branches_agree_with_keras(bars: Dataset):
    """Values used twice, layers used twice and operators get the sum of their gradients."""
    agrees(branches(), bars.train)


def operators() -> keras.Model:
    """Squeeze and excitation (arXiv:1709.01507) written out, with all operators on the way."""
    keras.utils.set_random_seed(7)
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    start = ops.cast(pixels, "float32") / 127.5 - 1.0
    wide = ops.relu(layers.Conv2D(4, 3)(start))
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(2 * wide)
    gate = ops.sigmoid(1 - ops.relu6(layers.Dense(4)(squeezed) + 3.0) * 0.5)
    excited = layers.Multiply()([wide, gate, gate]) + wide * wide + gate
    return keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(excited)))


def test_operators_agree_with_keras(bars: Dataset):
    """Operators on tensors and numbers are stages, also where shapes are broadcast."""
    assert "Keras" not in hows(agrees(operators(), bars.train))


def test_what_is_left_of_operators_agrees(bars: Dataset):
    """Quotients and differences of tensors, integers and what has no gradient are Keras's, with its numbers."""
    keras.utils.set_random_seed(7)
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    start = ops.cast(ops.add(pixels, pixels), "float32") / 255.0  # 8 bits: this sum wraps around
    wide = layers.Conv2D(4, 3, activation="relu")(start)
    mixed = wide / (wide + 1.0) - ops.round(wide) + 1 / (wide + 2.0)
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(mixed)))
    assert "Keras" in hows(agrees(model, bars.train))


@pytest.mark.parametrize("first", [layers.Flatten(), layers.MaxPooling2D(3), layers.Reshape((16, 4))])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pixels_as_they_are(first: keras.Layer, dtype: str, bars: Dataset):
    """Models that do not rescale get 0-255 as numbers, in the dtype of the computation."""
    if DEVICE.type == "cuda" and dtype == "uint8" and isinstance(first, layers.MaxPooling2D):
        pytest.skip("PyTorch has no maximum pool of bytes on a GPU, and so Keras has none")
    keras.utils.set_random_seed(7)
    copy = type(first).from_config(first.get_config())
    end = [layers.Flatten(), layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8, 1), dtype=dtype), copy, *end])
    model.set_weights([0.01 * weight for weight in model.get_weights()])  # far from probabilities of 0 and 1
    program = agrees(model, bars.train)
    assert "Keras" not in hows(program)
    rough = LoweredProgram(model, torch.bfloat16).logits(bars.train.images[:16])
    assert difference(rough.float(), program.logits(bars.train.images[:16])) < 0.05


def test_what_normalization_has_adapted_to_is_used(bars: Dataset):
    """Mean and variance that a layer has found in the pictures are its constants."""
    found = layers.Normalization()
    found.adapt(np.asarray(bars.train.images, np.float32))
    end = [layers.Flatten(), layers.Dense(3, activation="softmax")]
    assert "Keras" not in hows(
        agrees(keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), found, *end]), bars.train)
    )


APPLICATIONS: dict[str, dict[str, Any]] = {"MobileNetV3Small": {"dropout_rate": 0}, "ResNet50": {}}


@pytest.mark.parametrize("name", ["MobileNetV3Small", pytest.param("ResNet50", marks=pytest.mark.slow)])
def test_large_networks_are_lowered_whole(name: str):
    """A step of Keras's own applications has Keras's loss and moving statistics, and no layer is left to Keras."""
    keras.utils.set_random_seed(7)
    make = getattr(keras.applications, name)
    ours, theirs, again = (make(input_shape=(64, 64, 3), weights=None, classes=3, **APPLICATIONS[name]) for _ in "123")
    pictures = make_split(3, seed=1, size=(64, 64, 3))
    for model in (theirs, again):
        model.set_weights(ours.get_weights())
        compiled(model, optimizer="sgd")
    program = LoweredProgram(compiled(ours, optimizer="sgd"))
    assert "Keras" not in hows(program)
    judged = program.train_step(np.asarray(pictures.images), pictures.labels, 0)
    expected = theirs.train_on_batch(pictures.images, pictures.labels, return_dict=True)
    assert float(judged.loss) == pytest.approx(float(expected["loss"]), rel=1e-4)
    # Fifty fresh layers magnify rounding: the same pictures in another order show how far.
    again.train_on_batch(pictures.images[::-1].copy(), pictures.labels[::-1].copy())
    for mine, reference, other in zip(ours.variables, theirs.variables, again.variables, strict=True):
        assert difference(mine, reference) < 1e-4 + 5 * difference(other, reference), mine.path


def test_a_model_inside_a_model_agrees(bars: Dataset):
    """The layers of an inner model are lowered one by one."""
    inner = network(NETWORKS["convolution"])
    body = keras.Model(inner.inputs[0], inner.layers[-3].output)
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    output = layers.Dense(3, activation="softmax")(layers.Flatten()(body(pixels)))
    program = agrees(keras.Model(pixels, output), bars.train)
    assert "Keras" not in hows(program)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_lowered_whole(name: str):
    """No layer of a named architecture is left to Keras."""
    program = LoweredProgram(compiled(build(name, (28, 28, 1), 10)))
    assert "Keras" not in hows(program)
    assert program.optimizer_how == "fused"


OPTIMIZERS: dict[str, tuple[Any, str]] = {
    "adam": (lambda: keras.optimizers.Adam(0.01), "fused"),
    "adamw": (lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1), "fused"),
    "sgd": (lambda: keras.optimizers.SGD(0.1), "fused"),
    "momentum": (lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01), "fused"),
    "nesterov": (lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), "fused"),
    "rmsprop": (lambda: keras.optimizers.RMSprop(0.01), "fused"),
    "rmsprop, momentum": (lambda: keras.optimizers.RMSprop(0.01, momentum=0.5), "fused"),
    "a schedule": (lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)), "fused"),
    "clipping": (lambda: keras.optimizers.Adam(0.01, clipnorm=0.1), "Keras"),
    "amsgrad": (lambda: keras.optimizers.Adam(0.01, amsgrad=True), "Keras"),
    "centred": (lambda: keras.optimizers.RMSprop(0.01, centered=True), "Keras"),
    "adamax": (lambda: keras.optimizers.Adamax(0.01), "Keras"),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_are_those_of_keras(name: str, bars: Dataset):
    """In each of twenty steps the loss agrees to 1e-5; so do the weights, slots and step count after it, to 1e-4."""
    make, how = OPTIMIZERS[name]
    # The kinds of layers that the default network has, with a tenth of its weights.
    middle = [
        layers.Conv2D(6, 3, padding="same", use_bias=False), layers.BatchNormalization(momentum=0.9), layers.ReLU(),
        layers.MaxPooling2D(2), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(16, activation="relu"),
    ]  # fmt: skip
    ours, theirs = (network(middle) for _ in range(2))
    for model in (ours, theirs):
        model.compile(make(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    program = LoweredProgram(ours)
    assert program.optimizer_how == how
    theirs.optimizer.build(theirs.trainable_variables)
    variables = [model.trainable_variables + model.optimizer.variables for model in (ours, theirs)]
    for number in range(20):
        rows = np.arange(number * 5, number * 5 + 20) % 120
        images, labels = bars.train.images[rows], bars.train.labels[rows]
        judged = program.train_step(images, labels, number)
        expected = theirs.train_on_batch(images, labels, return_dict=True)
        metrics = float(judged.loss), float(judged.accuracy)
        running = float(expected["loss"]), float(expected["accuracy"])
        assert metrics == pytest.approx(running, rel=1e-5, abs=1e-5)
        for mine, reference in zip(*variables, strict=True):
            assert difference(mine, reference) < 1e-4, mine.path
            mine.assign(reference)  # rounding would grow from step to step, where a maximum changes its place


@pytest.mark.parametrize("name", ["cnn", "mnist-cnn-two-conv", "mnist-mlp"])
def test_bfloat16_learns_what_float32_does(name: str, bars: Dataset):
    """Weights stay float32, gradients are near float32's, and twenty steps lower the loss as far."""
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = compiled(build(name, (8, 8, 1), 3))
        program = LoweredProgram(model, dtype)
        images, labels = bars.train.images[:48], bars.train.labels[:48]
        steps = [program.train_step(images, labels, number) for number in range(20)]
        losses[dtype] = [float(judged.loss) for judged in steps]
        assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert losses[torch.bfloat16][0] == pytest.approx(losses[torch.float32][0], rel=0.02)
    assert losses[torch.bfloat16][-1] < 0.5 * losses[torch.bfloat16][0]


def test_weights_set_from_outside_are_used(bars: Dataset):
    """Also in bfloat16, where the products run on copies: what `set_weights` puts in is what the next step uses."""
    model = compiled(build("mnist-mlp-one-hidden", (8, 8, 1), 3))
    program = LoweredProgram(model, torch.bfloat16)
    before = program.logits(bars.train.images[:2])
    model.set_weights([0 * weight for weight in model.get_weights()])
    assert float(before.abs().max()) > 0
    assert float(program.logits(bars.train.images[:2]).abs().max()) == 0


class OwnStep(keras.Sequential):
    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "must be softmax or end in it"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3, "softmax", kernel_regularizer="l2")]), "losses"),
        (lambda: OwnStep([layers.Flatten(), layers.Dense(3, "softmax")]), "training step of its own"),
    ],
)
def test_what_the_engine_cannot_run_it_says(make: Any, told: str):
    """A model that does more than call its layers is refused, with the reason."""
    model = make()
    model.build((None, 8, 8, 1))
    with pytest.raises(ModelError, match=told):
        LoweredProgram(compiled(model))
