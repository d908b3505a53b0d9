"""The lowered program against plain Keras: the same weights, the same pictures, the same numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine.program import LoweredProgram
from eyespot.engine.stage import Step
from eyespot.engine.stages.pointwise import DropoutStage
from eyespot.errors import ModelError
from eyespot.models.architectures import ARCHITECTURES, build
from eyespot.recipe import TrainingRecipe
from eyespot.training.program import compile_classifier

layers = keras.layers
NETWORKS: dict[str, list[Any]] = {
    "convolution": [layers.Conv2D(4, 3, padding="same", activation="relu")],
    "uneven same padding": [layers.Conv2D(4, 2, padding="same"), layers.Conv2D(4, 3, strides=2, padding="same")],
    "strides and no bias": [layers.Conv2D(4, (5, 3), strides=(2, 3), use_bias=False)],
    "dilation": [layers.Conv2D(4, 3, dilation_rate=2, padding="same", activation="tanh")],
    "groups": [layers.Conv2D(8, 1), layers.Conv2D(4, 3, groups=4)],
    "depthwise": [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="elu")],
    "max pools": [layers.Conv2D(4, 3), layers.MaxPooling2D(2, padding="same"), layers.MaxPooling2D(3, strides=1)],
    "overlapping max pool": [layers.Conv2D(4, 3), layers.MaxPooling2D(3, strides=2, padding="same")],
    "average pool": [layers.Conv2D(4, 3), layers.AveragePooling2D(3, strides=2, padding="same")],
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
    "padding and reshape": [layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Conv2D(4, 3), layers.Reshape((-1, 2))],
    "layers that Keras runs": [
        layers.SeparableConv2D(4, 3), layers.LayerNormalization(), layers.PReLU(), layers.Conv2DTranspose(3, 2),
    ],
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


def compiled(model: keras.Model, **recipe: Any) -> keras.Model:
    compile_classifier(model, TrainingRecipe(**recipe))
    return model


def difference(ours: Any, theirs: Any) -> float:
    """The norm of the difference, as a share of the norm of the reference."""
    ours, theirs = (np.asarray(keras.ops.convert_to_numpy(value), np.float64) for value in (ours, theirs))
    # A bias before a batch normalisation has no gradient but rounding: below 0.1 the difference itself counts.
    return float(np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 0.1))


def agrees(model: keras.Model, bars: Dataset) -> LoweredProgram:
    """Loss, gradients, outputs and moving statistics are those of Keras, to 1e-5."""
    images, labels = torch.tensor(bars.train.images[:16]), torch.tensor(bars.train.labels[:16])
    states = [np.array(variable) for variable in model.non_trainable_variables]
    loss = keras.losses.sparse_categorical_crossentropy(labels, model(images, training=True)).mean()
    theirs = torch.autograd.grad(loss, [variable.value for variable in model.trainable_variables])
    moved = [np.array(variable) for variable in model.non_trainable_variables]
    for variable, state in zip(model.non_trainable_variables, states, strict=True):
        variable.assign(state)
    program = LoweredProgram(compiled(model))
    with torch.no_grad():
        judged = program.gradients(images, labels, Step(training=True))
    assert float(judged.loss) == pytest.approx(float(loss.detach()), abs=1e-6)
    by_variable = {id(parameter.variable): parameter.gradient for parameter in program.parameters}
    for variable, reference in zip(model.trainable_variables, theirs, strict=True):
        ours = by_variable[id(variable)]
        assert ours is not None
        assert difference(ours, reference) < 1e-5, variable.path
    for variable, reference in zip(model.non_trainable_variables, moved, strict=True):
        if "seed" not in variable.path:
            assert difference(variable, reference) < 1e-5, variable.path
    outputs = torch.softmax(program.logits(bars.train.images[:16]), 1)
    assert difference(outputs, model(images, training=False).detach()) < 1e-5
    return program


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_agree_with_keras(name: str, bars: Dataset):
    """Every layer the lowering knows, and those it leaves to Keras, give Keras's numbers forward and backward."""
    program = agrees(network(NETWORKS[name]), bars)
    left = name in {"layers that Keras runs", "average pool"} or name == "activations"
    assert ("Keras" in {how for _, how in program.lowering}) == left


def test_branches_agree_with_keras(bars: Dataset):
    """Values used twice, layers used twice and operators get the sum of their gradients."""
    agrees(branches(), bars)


def test_a_model_inside_a_model_agrees(bars: Dataset):
    """The layers of an inner model are lowered one by one."""
    inner = network(NETWORKS["convolution"])
    body = keras.Model(inner.inputs[0], inner.layers[-3].output)
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    output = layers.Dense(3, activation="softmax")(layers.Flatten()(body(pixels)))
    program = agrees(keras.Model(pixels, output), bars)
    assert "convolution" in {how for _, how in program.lowering}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_lowered_whole(name: str):
    """No layer of a named architecture is left to Keras."""
    program = LoweredProgram(compiled(build(name, (28, 28, 1), 10)))
    assert "Keras" not in {how for _, how in program.lowering}
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
    """Over twenty steps losses agree to 1e-5; afterwards the weights, slots and step count do too."""
    make, how = OPTIMIZERS[name]
    ours, theirs = (build("cnn", (8, 8, 1), 3) for _ in range(2))
    ours, theirs = (_without_dropout(model) for model in (ours, theirs))
    theirs.set_weights(ours.get_weights())
    for model in (ours, theirs):
        model.compile(make(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    program = LoweredProgram(ours)
    assert program.optimizer_how == how
    for number in range(20):
        rows = np.arange(number * 5, number * 5 + 20) % 120
        images, labels = bars.train.images[rows], bars.train.labels[rows]
        judged = program.train_step(images, labels, number)
        expected = theirs.train_on_batch(images, labels, return_dict=True)
        assert float(judged.loss) == pytest.approx(float(expected["loss"]), rel=1e-3 if number > 10 else 1e-4, abs=1e-5)
        assert float(judged.accuracy) == pytest.approx(float(expected["accuracy"]), abs=0.051)
    for mine, reference in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        assert difference(mine, reference) < 0.01, mine.path


def _without_dropout(model: keras.Model) -> keras.Model:
    keras.utils.set_random_seed(3)
    kept = [layer for layer in model.layers if not isinstance(layer, layers.Dropout)]
    copies = [type(layer).from_config(layer.get_config()) for layer in kept]
    return keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), *copies])


@pytest.mark.parametrize("name", ["cnn", "mnist-cnn-two-conv", "mnist-mlp"])
def test_bfloat16_learns_what_float32_does(name: str, bars: Dataset):
    """Weights stay float32, gradients are near float32's, and thirty steps lower the loss as far."""
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = compiled(build(name, (8, 8, 1), 3))
        program = LoweredProgram(model, dtype)
        steps = [program.train_step(bars.train.images, bars.train.labels, number) for number in range(30)]
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


def drop(stage: DropoutStage, number: int, seed: int = 0) -> torch.Tensor:
    ones = stage.forward([torch.ones(200, 500)], Step(training=True, seed=seed, number=number))
    return ones > 0


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.3, 0.5])
def test_dropout_keeps_the_share_it_should(rate: float):
    """The share kept is within five standard errors of 1 - rate, and what is kept is divided by it."""
    stage = DropoutStage(layers.Dropout(rate), 0)
    kept = np.array([drop(stage, number).float().mean() for number in range(20)])
    error = np.sqrt(rate * (1 - rate) / 2_000_000)
    assert abs(kept.mean() - (1 - rate)) < 5 * error
    values = stage.forward([torch.ones(10, 10)], Step(training=True))
    assert values.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
    assert torch.equal(stage.backward(torch.ones(10, 10), wanted=True)[0], values)
    assert torch.equal(stage.forward([torch.ones(3, 3)], Step(training=False)), torch.ones(3, 3))


def test_masks_are_independent():
    """Masks of other steps, layers and seeds agree as often as chance has it; of the same step they are the same."""
    stage, other = DropoutStage(layers.Dropout(0.5), 0), DropoutStage(layers.Dropout(0.5), 1)
    mask = drop(stage, 4)
    assert torch.equal(mask, drop(stage, 4))
    for different in (drop(stage, 5), drop(other, 4), drop(stage, 4, seed=1)):
        agreement = float((mask == different).float().mean())
        assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(mask.numel())
    neighbours = (mask[:, 1:] == mask[:, :-1]).float().mean()
    assert abs(float(neighbours) - 0.5) < 5 * 0.5 / np.sqrt(mask.numel())


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
