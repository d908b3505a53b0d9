"""What stands in Keras's place gives Keras's numbers, and is left to Keras wherever it would not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.engine.accelerate import accelerate
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.errors import ModelError
from tests.engine.compare import DEVICE, compiled

layers, losses, ops, optimizers = keras.layers, keras.losses, keras.ops, keras.optimizers
Model: TypeAlias = keras.Model
SPARSE = "sparse_categorical_crossentropy"
PICTURE = (6, 6, 3)


@dataclass
class Case:
    """A model, how it is compiled and what it learns.

    Attributes:
        body: from the input to the output.
        one_hot: labels are distributions over the last axis of the output.
        compiled: makes what else `compile` takes.
        fitted: makes what else `fit` takes, of the number of pictures.
        make: the model's class.
    """

    body: Callable[[Any], Any]
    loss: Callable[[], Any] = lambda: SPARSE
    one_hot: bool = False
    compiled: Callable[[], dict[str, Any]] = dict
    fitted: Callable[[int], dict[str, Any]] = lambda _: {}
    make: Any = Model
    shape: tuple[int, ...] = PICTURE
    dtype: str = "float32"
    targets: Callable[[np.ndarray], np.ndarray] = lambda y: y
    optimizer: Callable[[], Any] = field(default=lambda: optimizers.SGD(0.05))


def flat(x: Any, end: str | None = "softmax") -> Any:
    return layers.Dense(4, activation=end)(layers.Flatten()(x))


def everywhere(x: Any) -> Any:
    """A class for each pixel."""
    return layers.Conv2D(4, 1)(x)


def sequence(x: Any) -> Any:
    """A class for each row."""
    return layers.Dense(4)(layers.Reshape((6, 18))(x))


def before(*middle: Any) -> Callable[[Any], Any]:
    """A convolution, layers, and a classifier."""

    def body(x: Any) -> Any:
        x = layers.Conv2D(4, 3)(x)
        for make in middle:
            x = make()(x)
        return flat(x)

    return body


@keras.saving.register_keras_serializable()
class Penalty(keras.Layer):
    """Adds to the loss, in training only."""

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.add_loss(ops.mean(ops.square(x)))
        return x


class SometimesPenalty(Penalty):
    """Adds to the loss where the first value is positive."""

    def call(self, x: Any, training: bool = False) -> Any:
        if training and float(ops.convert_to_numpy(ops.stop_gradient(x)).flat[0]) > 0:
            self.add_loss(ops.mean(ops.abs(x)))
        return x


class AlwaysPenalty(keras.Layer):
    def call(self, x: Any) -> Any:
        self.add_loss(ops.mean(ops.square(x)))
        return x


class Hides(keras.Layer):
    """Masks what is negative."""

    supports_masking = True

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return ops.any(x > 0, axis=-1)

    def call(self, x: Any) -> Any:
        return x


class OwnLoss(keras.losses.SparseCategoricalCrossentropy):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 2 * super().call(y_true, y_pred)


class OwnDense(keras.layers.Dense):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return 2 * super().call(inputs)


class OwnComputeLoss(Model):
    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        return 3 * super().compute_loss(*arguments, **options)


class OwnTrainStep(Model):
    def train_step(self, data: Any) -> Any:
        return super().train_step((data[0] / 2, data[1]))


class OwnMetrics(Model):
    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "most": ops.max(y_pred)}


class OwnAccuracy(keras.metrics.SparseCategoricalAccuracy):
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, 1 - y_pred, sample_weight)


class OwnAdam(keras.optimizers.Adam):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(-gradient, variable, learning_rate)


def masked_normalization(x: Any) -> Any:
    seen = ops.max(x, axis=-1) > 0
    return flat(layers.BatchNormalization()(layers.Conv2D(4, 1)(x), mask=seen))


def masked_softmax(x: Any) -> Any:
    x = layers.Conv2D(4, 1)(x)
    return flat(layers.Softmax()(x, mask=x > 0))


def masked_end(x: Any) -> Any:
    logits = flat(x, None)
    return layers.Softmax()(logits, mask=logits > -0.3)


def replaced() -> Any:
    layer = layers.Dense(3)
    layer.call = lambda x, training=None: 2 * ops.matmul(x, layer.kernel)
    return layer


def blocked(x: Any) -> Any:
    """A branch that nothing flows back through."""
    return flat(layers.Add()([ops.stop_gradient(layers.Dense(3, name="blocked")(x)), x]))


def blocked_penalty(x: Any) -> Any:
    return flat(layers.Add()([ops.stop_gradient(Penalty()(layers.Dense(3, name="blocked")(x))), x]))


def shared_penalty(x: Any) -> Any:
    penalty, x = Penalty(), layers.Conv2D(3, 1)(x)
    return flat(layers.Add()([penalty(x), penalty(layers.Conv2D(3, 1)(x))]))


def called_in_training(x: Any) -> Any:
    return flat(layers.BatchNormalization()(layers.Conv2D(4, 1)(x), training=False))


def frozen_inside(x: Any) -> Any:
    start = keras.Input(PICTURE)
    inner = Model(start, layers.BatchNormalization()(layers.Conv2D(4, 1)(start)))
    inner.trainable = False
    return flat(layers.Conv2D(4, 1)(inner(x, training=False)))


def accuracy() -> dict[str, Any]:
    return {"metrics": ["accuracy"]}


def of_pixels(count: int) -> dict[str, Any]:
    return {"sample_weight": np.linspace(0, 2, count * 36, dtype="float32").reshape(count, 6, 6)}


def pointwise_loss(y: Any, p: Any) -> Any:
    return ops.mean(ops.square(p), axis=-1)


FROM_LOGITS = {"from_logits": True}
CASES: dict[str, Case] = {
    # Rank and axis.
    "logits of pixels": Case(everywhere, lambda: losses.SparseCategoricalCrossentropy(**FROM_LOGITS)),
    "logits of pixels, accuracy": Case(
        everywhere, lambda: losses.SparseCategoricalCrossentropy(**FROM_LOGITS), compiled=accuracy),
    "logits of pixels, one-hot": Case(
        everywhere, lambda: losses.CategoricalCrossentropy(**FROM_LOGITS), True, compiled=accuracy),
    "logits of pixels, smoothed": Case(
        everywhere, lambda: losses.CategoricalCrossentropy(**FROM_LOGITS, label_smoothing=0.2), True),
    "logits of pixels, weighted pixels": Case(
        everywhere, lambda: losses.SparseCategoricalCrossentropy(**FROM_LOGITS), fitted=of_pixels),
    "logits of pixels, axis 1": Case(
        everywhere, lambda: losses.CategoricalCrossentropy(**FROM_LOGITS, axis=1), True),
    "logits of rows": Case(sequence, lambda: losses.SparseCategoricalCrossentropy(**FROM_LOGITS), compiled=accuracy),
    "logits of rows, one-hot": Case(
        sequence, lambda: losses.CategoricalCrossentropy(**FROM_LOGITS), True, compiled=accuracy),
    "probabilities of pixels, one-hot": Case(
        lambda x: layers.Softmax()(everywhere(x)), lambda: "categorical_crossentropy", True, compiled=accuracy),
    "probabilities of rows": Case(lambda x: layers.Activation("softmax")(sequence(x)), compiled=accuracy),
    "a softmax over rows of pixels": Case(
        lambda x: flat(layers.Softmax(axis=1)(everywhere(x)))),
    "a softmax over the first axis": Case(lambda x: layers.Softmax(axis=0)(flat(x, None))),
    "a softmax over two axes": Case(lambda x: flat(layers.Softmax(axis=(1, 2))(everywhere(x)))),
    "an ignored class": Case(flat, lambda: losses.SparseCategoricalCrossentropy(ignore_class=2), compiled=accuracy),
    "axis 0": Case(flat, lambda: losses.CategoricalCrossentropy(axis=0), True),
    "a loss of each picture": Case(
        flat, lambda: losses.SparseCategoricalCrossentropy(reduction=None)),
    "a loss in float64": Case(flat, lambda: losses.SparseCategoricalCrossentropy(dtype="float64")),
    "a loss of one's own": Case(flat, OwnLoss, compiled=accuracy),
    "a focal loss": Case(flat, losses.CategoricalFocalCrossentropy, True),
    "a loss in a list": Case(flat, lambda: [SPARSE], compiled=accuracy),
    "loss weights": Case(flat, compiled=lambda: {"loss_weights": [3.0], "metrics": ["accuracy"]}),
    "a loss that no gradient comes from": Case(
        flat, lambda: lambda y, p: ops.mean(ops.cast(ops.square(y), "float32")), compiled=lambda: {"metrics": None}),
    "labels in a column": Case(flat, targets=lambda y: y[:, None], compiled=accuracy),
    "labels in float32": Case(flat, targets=lambda y: y.astype("float32"), compiled=accuracy),
    "labels in uint8": Case(flat, targets=lambda y: y.astype("uint8"), compiled=accuracy),
    "one-hot labels in bool": Case(
        flat, lambda: "categorical_crossentropy", True, targets=lambda y: y.astype(bool), compiled=accuracy),
    "weighted classes": Case(flat, fitted=lambda _: {"class_weight": {0: 1.0, 1: 0.0, 2: 3.0, 3: 0.5}}),
    "weights in a column": Case(flat, fitted=lambda n: {"sample_weight": np.linspace(0, 2, n)[:, None]}),
    "one sigmoid": Case(
        lambda x: layers.Dense(1, activation="sigmoid")(layers.Flatten()(x)), lambda: "binary_crossentropy",
        targets=lambda y: y % 2, compiled=accuracy),
    "a regression": Case(
        lambda x: layers.Dense(1)(layers.Flatten()(x)), lambda: "mse", targets=lambda y: y.astype("float32")),
    # Losses besides the compiled one.
    "a penalty in training": Case(before(Penalty), compiled=accuracy),
    "a penalty in training, another loss": Case(before(Penalty), lambda: "mse", True),
    "a penalty in training, of pixels": Case(
        lambda x: everywhere(Penalty()(x)), lambda: losses.SparseCategoricalCrossentropy(**FROM_LOGITS)),
    "a penalty in some steps": Case(before(SometimesPenalty), compiled=accuracy),
    "a penalty always": Case(before(AlwaysPenalty), compiled=accuracy),
    "a penalty on pixels": Case(lambda x: flat(Penalty()(x))),
    "a penalty and nothing else": Case(
        before(Penalty), lambda: None, optimizer=lambda: optimizers.AdamW(0.01, weight_decay=0.5)),
    "a penalty and a loss without a gradient": Case(before(Penalty), lambda: lambda y, p: ops.cast(y, "float32")),
    "a penalty that is used twice": Case(shared_penalty),
    "a penalty that nothing else flows through": Case(blocked_penalty),
    "an activity regularizer": Case(before(lambda: layers.Dense(3, activity_regularizer="l2"))),
    "an activity regularizer of its own": Case(before(lambda: layers.ActivityRegularization(l1=0.01))),
    "a regularizer": Case(before(lambda: layers.Conv2D(2, 1, kernel_regularizer="l2"))),
    # Models, metrics and layers of one's own.
    "compute_loss": Case(flat, make=OwnComputeLoss),
    "train_step": Case(flat, make=OwnTrainStep),
    "compute_metrics": Case(flat, make=OwnMetrics, compiled=accuracy),
    "an accuracy of one's own": Case(flat, compiled=lambda: {"metrics": [OwnAccuracy(name="accuracy")]}),
    "the accuracy of other labels": Case(
        flat, lambda: "categorical_crossentropy", True, compiled=lambda: {"metrics": ["sparse_categorical_accuracy"]}),
    "a dense layer of one's own": Case(before(lambda: OwnDense(3))),
    "a mask": Case(lambda x: layers.Dense(4)(Hides()(layers.Reshape((6, 18))(x))), lambda: "mse", True),
    "a mask for a recurrent layer": Case(
        lambda x: layers.Dense(4, activation="softmax")(layers.GRU(3)(Hides()(layers.Reshape((6, 18))(x))))),
    "a masked batch normalisation": Case(masked_normalization),
    "a masked softmax": Case(masked_softmax),
    "a masked softmax at the end": Case(masked_end),
    "a mask of whole pictures": Case(lambda x: layers.Dense(4, activation="softmax")(Hides()(flat(x, None)))),
    "a layer whose call is another": Case(before(replaced)),
    "what nothing flows back to": Case(blocked, optimizer=lambda: optimizers.AdamW(0.01, weight_decay=0.5)),
    # Settings of layers.
    "no scale, no centre": Case(before(lambda: layers.BatchNormalization(scale=False, center=False))),
    "batch normalisation over rows": Case(before(lambda: layers.BatchNormalization(axis=1))),
    "frozen batch normalisation": Case(before(lambda: layers.BatchNormalization(trainable=False))),
    "renormalisation": Case(before(lambda: layers.BatchNormalization(renorm=True))),
    "called as in inference": Case(called_in_training),
    "a frozen model inside": Case(frozen_inside),
    "layer normalisation": Case(before(layers.LayerNormalization)),
    "channels first": Case(
        before(lambda: layers.MaxPooling2D(2, data_format="channels_first"))),
    "flattened, channels first": Case(before(lambda: layers.Flatten(data_format="channels_first"))),
    "dilation": Case(before(lambda: layers.Conv2D(4, 2, dilation_rate=2))),
    "groups": Case(before(lambda: layers.Conv2D(4, 2, groups=2))),
    "strides": Case(before(lambda: layers.Conv2D(4, 3, strides=2, padding="same"))),
    "a causal convolution": Case(
        lambda x: flat(layers.Conv1D(4, 3, padding="causal")(layers.Reshape((6, 18))(x)))),
    "overlapping pools": Case(before(lambda: layers.MaxPooling2D(3, 1, padding="same"))),
    "a slope above 1": Case(before(lambda: layers.LeakyReLU(2.0), lambda: layers.MaxPooling2D(2))),
    "a ReLU with all its settings": Case(before(lambda: layers.ReLU(1.0, 0.1, 0.2))),
    "a learnt slope": Case(before(layers.PReLU)),
    "an activation with a setting": Case(before(lambda: layers.Activation(lambda x: ops.elu(x, alpha=0.3)))),
    "a constraint": Case(before(lambda: layers.Conv2D(2, 1, kernel_constraint="unit_norm"))),
    "a concatenation of rows": Case(lambda x: flat(layers.Concatenate(axis=1)([layers.Conv2D(3, 1)(x), x]))),
    "a sum of other shapes": Case(lambda x: flat(layers.Add()([layers.Conv2D(3, 6)(x), x]))),
    "float64 in the middle": Case(before(lambda: layers.Dense(3, dtype="float64"))),
    "mixed float16": Case(before(lambda: layers.Dense(3, dtype="mixed_float16"))),
    # Optimizers.
    "clipped by norm": Case(flat, optimizer=lambda: optimizers.Adam(0.01, clipnorm=0.01)),
    "clipped by value": Case(flat, optimizer=lambda: optimizers.Adam(0.01, clipvalue=0.001)),
    "clipped by the global norm": Case(flat, optimizer=lambda: optimizers.RMSprop(0.01, global_clipnorm=0.01)),
    "weight decay": Case(flat, optimizer=lambda: optimizers.SGD(0.01, momentum=0.9, weight_decay=0.1)),
    "average, overwritten": Case(
        flat, optimizer=lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2)),
    "average": Case(flat, optimizer=lambda: optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.5)),
    "accumulation": Case(flat, optimizer=lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2)),
    "a scaled loss": Case(flat, optimizer=lambda: optimizers.Adam(0.01, loss_scale_factor=4.0)),
    "a loss scale": Case(flat, optimizer=lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.01))),
    "amsgrad": Case(flat, optimizer=lambda: optimizers.Adam(0.01, amsgrad=True)),
    "centred": Case(flat, optimizer=lambda: optimizers.RMSprop(0.01, centered=True)),
    "Nesterov": Case(flat, optimizer=lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True)),
    "an optimizer of one's own": Case(flat, optimizer=lambda: OwnAdam(0.01)),
}  # fmt: skip


def without_decay() -> Any:
    optimizer = optimizers.AdamW(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


CASES["decay of some weights"] = Case(flat, optimizer=without_decay)


def trained(case: Case, *, accelerated: bool) -> tuple[dict[str, list[float]], list[np.ndarray], Any, Any, Model]:
    """History, weights, evaluation, predictions and the model after two epochs."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(24, *case.shape)).astype(case.dtype)
    keras.utils.set_random_seed(1)
    start = keras.Input(case.shape, dtype=case.dtype)
    model = case.make(start, case.body(start))
    labels = generator.integers(0, 4, (24, *model.output_shape[1:-1]))
    targets = case.targets(np.eye(4, dtype="float32")[labels] if case.one_hot else labels)
    model.compile(case.optimizer(), case.loss(), **case.compiled())
    if accelerated:
        accelerate(model, "float32")
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0} | case.fitted(24)
    history = model.fit(images, targets, **options).history
    evaluation = model.evaluate(images, targets, verbose=0)
    return history, model.get_weights(), evaluation, model.predict(images, verbose=0), model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_training_is_that_of_keras(name: str):
    """Losses, metrics, weights, evaluation and predictions of two epochs are plain Keras's, or its error is."""
    case = CASES[name]
    try:
        expected = trained(case, accelerated=False)
    except Exception as error:  # noqa: BLE001 - whatever Keras refuses, is to be refused
        with pytest.raises(type(error)):
            trained(case, accelerated=True)
        return
    found = trained(case, accelerated=True)
    assert list(found[0]) == list(expected[0])
    for mine, theirs in zip(keras.tree.flatten(found[:4]), keras.tree.flatten(expected[:4]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-5)


def test_eyespots_own_training_has_what_layers_add_to_the_loss():
    """A step of a lowered program, as `train` makes it, reports and follows what layers add, as Keras does."""
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        start = keras.Input(PICTURE)
        models.append(compiled(Model(start, before(Penalty)(start)), optimizer="sgd", learning_rate=0.1))
    ours, theirs = models
    generator = np.random.default_rng(0)
    images, labels = generator.normal(size=(8, *PICTURE)).astype("float32"), generator.integers(0, 4, 8)
    program = LoweredProgram(ours)
    for number in range(3):
        loss = float(
            program.learn_as(number, torch.tensor(images, device=DEVICE), torch.tensor(labels, device=DEVICE)).loss
        )
        theirs.reset_metrics()
        assert loss == pytest.approx(float(theirs.train_on_batch(images, labels)[0]), rel=1e-4)
    for mine, reference in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=2e-4, atol=2e-5)


ENDS: dict[str, Callable[[Any], Any]] = {
    "pixels": lambda x: layers.Softmax()(everywhere(x)),
    "another axis": lambda x: layers.Softmax(axis=0)(flat(x, None)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ENDS)
def test_a_classifier_ends_in_a_softmax_over_its_classes(name: str):
    """eyespot's own training, whose loss is of [n, classes], refuses any other softmax with a sentence."""
    start = keras.Input(PICTURE)
    with pytest.raises(ModelError, match="must end in a softmax over its classes"):
        LoweredProgram(compiled(Model(start, ENDS[name](start))))
