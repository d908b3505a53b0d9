"""An accelerated model against its plain twin: the same weights, the same calls, the same numbers."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine.accelerate import accelerate
from eyespot.errors import DataError, ModelError, UsageError

layers, losses, optimizers = keras.layers, keras.losses, keras.optimizers
SPARSE = "sparse_categorical_crossentropy"
Model: TypeAlias = keras.Model


def network(*, end: str | None = "softmax", dtype: str = "uint8", dropout: float = 0) -> Model:
    """A small convolutional network; every one has the same weights."""
    keras.utils.set_random_seed(5)
    start = [keras.Input((8, 8, 1), dtype=dtype), layers.Rescaling(1 / 255)]
    middle = [layers.Conv2D(4, 3, activation="tanh"), layers.BatchNormalization(), layers.AveragePooling2D(2)]
    drops = [layers.Dropout(dropout)] if dropout else []
    return keras.Sequential([*start, *middle, layers.Flatten(), *drops, layers.Dense(3, activation=end)], name="net")


def twins(compile_options: Callable[[], dict[str, Any]] | None = None, **options: Any) -> tuple[Model, Model]:
    """Two models of the same weights, the first accelerated."""
    ours, theirs = network(**options), network(**options)
    for model in (ours, theirs):
        model.compile(**{"optimizer": optimizers.SGD(0.1, momentum=0.9), "loss": SPARSE, "metrics": ["accuracy"]}
                      | (compile_options() if compile_options else {}))  # fmt: skip
    assert accelerate(ours, "float32") is ours
    return ours, theirs


def fit(model: Model, *data: Any, seed: int = 3, **options: Any) -> dict[str, list[float]]:
    """The history of three epochs, by the same order of pictures."""
    keras.utils.set_random_seed(seed)
    return model.fit(*data, **{"epochs": 3, "batch_size": 25, "verbose": 0} | options).history


def same(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> None:
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values, rel=2e-4, abs=1e-5), name


def agree(ours: Model, theirs: Model, *data: Any, **options: Any) -> dict[str, list[float]]:
    """Histories, evaluations, predictions and weights are the same; returns the history."""
    history = fit(ours, *data, **options)
    same(history, fit(theirs, *data, **options))
    evaluation = {name: value for name, value in options.items() if name == "sample_weight"}
    assert ours.evaluate(*data, verbose=0, **evaluation) == pytest.approx(
        theirs.evaluate(*data, verbose=0, **evaluation), abs=1e-4
    )
    assert ours.predict(data[0], verbose=0) == pytest.approx(theirs.predict(data[0], verbose=0), abs=1e-4)
    for mine, reference in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert mine == pytest.approx(reference, abs=1e-3)
    return history


def runs_in_the_engine(model: Model) -> bool:
    return len(model.lowering) > 1 and model.train_function.__self__.program is not None


@pytest.fixture
def pictures(bars: Dataset) -> np.ndarray:
    return np.asarray(bars.train.images)


@pytest.fixture
def labels(bars: Dataset) -> np.ndarray:
    return bars.train.labels


LOSSES: dict[str, tuple[Callable[[], Any], str | None, bool, bool]] = {
    # The loss, the end of the model, whether labels are one-hot, whether the engine computes it.
    "a name": (lambda: SPARSE, "softmax", False, True),
    "a function": (lambda: losses.sparse_categorical_crossentropy, "softmax", False, True),
    "an object": (losses.SparseCategoricalCrossentropy, "softmax", False, True),
    "one-hot": (lambda: "categorical_crossentropy", "softmax", True, True),
    "smoothed": (lambda: losses.CategoricalCrossentropy(label_smoothing=0.2), "softmax", True, True),
    "from logits": (lambda: losses.SparseCategoricalCrossentropy(from_logits=True), None, False, True),
    "smoothed, from logits": (
        lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), None, True, True,
    ),
    "a sum": (lambda: losses.SparseCategoricalCrossentropy(reduction="sum"), "softmax", False, True),
    "by the weights' sum": (
        lambda: losses.CategoricalCrossentropy(reduction="mean_with_sample_weight"), "softmax", True, True,
    ),
    "another": (lambda: "mse", "softmax", True, False),
    "of logits that are probabilities": (
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True), "softmax", False, False,
    ),
    "of another end": (lambda: "binary_crossentropy", "sigmoid", True, False),
    "with a class left out": (lambda: losses.SparseCategoricalCrossentropy(ignore_class=1), "softmax", False, False),
    "one's own": (lambda: lambda y, p: keras.ops.mean(keras.ops.abs(y - p), axis=-1), "softmax", True, False),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_that_of_keras(name: str, weighted: bool, pictures: np.ndarray, labels: np.ndarray):
    """Two epochs give Keras's history, evaluation, predictions and weights."""
    loss, end, one_hot, is_fused = LOSSES[name]
    rate = 0.002 if name == "a sum" else 0.05
    ours, theirs = twins(lambda: {"loss": loss(), "optimizer": optimizers.SGD(rate)}, end=end)
    options = {"sample_weight": np.linspace(0, 2, len(labels), dtype=np.float32)} if weighted else {}
    history = agree(ours, theirs, pictures, np.eye(3)[labels] if one_hot else labels, epochs=2, **options)
    assert runs_in_the_engine(ours)
    assert (ours.train_function.__self__.loss is not None) == is_fused
    assert history["loss"][-1] < history["loss"][0]


FITS: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, Any]]] = {
    "class weights": lambda x, y: {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
    "a validation split": lambda x, y: {"validation_split": 0.25},
    "validation data": lambda x, y: {"validation_data": (x[:40], y[:40]), "validation_batch_size": 7},
    "weighted validation data": lambda x, y: {"validation_data": (x[:40], y[:40], np.linspace(0, 1, 40))},
    "an uneven last batch": lambda x, y: {"batch_size": 37},
    "steps": lambda x, y: {"steps_per_epoch": 2, "epochs": 2},
    "a schedule by epoch": lambda x, y: {
        "callbacks": [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 3)],
    },
    "a plateau": lambda x, y: {
        "callbacks": [keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=9)],
    },
    "the best weights": lambda x, y: {
        "callbacks": [keras.callbacks.EarlyStopping("loss", patience=1, min_delta=9, restore_best_weights=True)],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_fit_takes_what_it_always_does(name: str, pictures: np.ndarray, labels: np.ndarray):
    """Weights of classes, validation, callbacks that change rates and weights: all as in Keras."""
    ours, theirs = twins()
    history = fit(ours, pictures, labels, **FITS[name](pictures, labels))
    same(history, fit(theirs, pictures, labels, **FITS[name](pictures, labels)))
    assert ours.predict(pictures, verbose=0) == pytest.approx(theirs.predict(pictures, verbose=0), abs=1e-4)
    assert runs_in_the_engine(ours)
    assert float(ours.optimizer.learning_rate) == pytest.approx(float(theirs.optimizer.learning_rate))


METRICS: dict[str, Callable[[], dict[str, Any]]] = {
    "none": lambda: {"metrics": None},
    "one's own": lambda: {"metrics": ["accuracy", lambda y, p: keras.ops.max(p, axis=-1)]},
    "several": lambda: {"metrics": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")]},
    "weighted": lambda: {
        "metrics": ["accuracy"],
        "weighted_metrics": ["accuracy", keras.metrics.SparseCategoricalCrossentropy()],
    },
    "a renamed accuracy": lambda: {"metrics": [keras.metrics.SparseCategoricalAccuracy(name="right")]},
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_keras(name: str, pictures: np.ndarray, labels: np.ndarray):
    """Any metrics have Keras's names and values, with sample weights where these count."""
    agree(*twins(METRICS[name]), pictures, labels, epochs=2, sample_weight=np.linspace(0, 2, len(labels)))


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "a schedule": lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)),
    "clipping": lambda: optimizers.SGD(0.1, global_clipnorm=0.5),
    "averaged weights": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
    "accumulated gradients": lambda: optimizers.SGD(0.1, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_those_of_keras(name: str, pictures: np.ndarray, labels: np.ndarray):
    """Schedules and what Keras's own optimizer object does besides its rule are followed."""
    agree(*twins(lambda: {"optimizer": OPTIMIZERS[name]()}), pictures, labels)


def test_steps_on_single_batches_are_those_of_keras(pictures: np.ndarray, labels: np.ndarray):
    """train_on_batch, test_on_batch and predict_on_batch run the same step functions, also of lists and float64."""
    ours, theirs = twins(dtype="float32")
    for x in (pictures[:20], pictures[:20].astype(np.float64), torch.tensor(pictures[:20]), pictures[:20, ..., 0]):
        assert ours.train_on_batch(x, labels[:20]) == pytest.approx(theirs.train_on_batch(x, labels[:20]), abs=1e-5)
        weight = np.linspace(0, 1, 20)
        assert ours.test_on_batch(x, labels[:20, None], sample_weight=weight) == pytest.approx(
            theirs.test_on_batch(x, labels[:20, None], sample_weight=weight), abs=1e-5
        )
        assert ours.predict_on_batch(x) == pytest.approx(theirs.predict_on_batch(x), abs=1e-5)
    assert runs_in_the_engine(ours)


def test_other_sources_of_data_work(pictures: np.ndarray, labels: np.ndarray):
    """A loader of PyTorch's, a generator and a dict of one input are taken."""
    ours, theirs = twins()
    pairs = torch.utils.data.TensorDataset(torch.tensor(pictures), torch.tensor(labels))
    for make in (
        lambda: torch.utils.data.DataLoader(pairs, batch_size=30),
        lambda: ((pictures[start : start + 30], labels[start : start + 30]) for start in (0, 30, 60)),
    ):
        options: dict[str, Any] = {"batch_size": None, "epochs": 1, "shuffle": False, "steps_per_epoch": 3}
        same(*(fit(model, make(), **options) for model in (ours, theirs)))
    name = ours.inputs[0].name
    assert ours.predict({name: pictures}, verbose=0) == pytest.approx(ours.predict(pictures, verbose=0))


def test_frozen_layers_stay_as_they_are(pictures: np.ndarray, labels: np.ndarray):
    """`trainable = False` counts after the next compile, and as in Keras without one; slots stay with their weights."""
    ours, theirs = twins()
    agree(ours, theirs, pictures, labels, epochs=1)
    for model in (ours, theirs):
        model.get_layer(index=1).trainable = False
    kernel = ours.layers[1].get_weights()[0]
    agree(ours, theirs, pictures, labels, epochs=1, seed=4)
    for model in (ours, theirs):
        model.compile("adam", SPARSE, metrics=["accuracy"])
    agree(ours, theirs, pictures, labels, epochs=1, seed=5)
    assert (ours.layers[1].get_weights()[0] == kernel).all()
    assert runs_in_the_engine(ours)


def test_a_layer_frozen_within_an_epoch_stays(pictures: np.ndarray, labels: np.ndarray):
    """A callback that freezes a layer is followed at once, as in Keras."""

    class Freeze(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.layers[1].trainable = batch % 2 == 0

    ours, theirs = twins()
    same(*(fit(model, pictures, labels, callbacks=[Freeze()]) for model in (ours, theirs)))
    assert ours.layers[1].get_weights()[0] == pytest.approx(theirs.layers[1].get_weights()[0], abs=1e-4)


def test_compiled_again_it_has_the_new_loss(pictures: np.ndarray, labels: np.ndarray):
    """A new loss, other metrics and a new optimizer take effect."""
    ours, theirs = twins()
    agree(ours, theirs, pictures, labels, epochs=1)
    for model in (ours, theirs):
        model.compile(optimizers.Adam(0.01), losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=["mae"])
    agree(ours, theirs, pictures, np.eye(3)[labels], epochs=2, seed=4)
    assert ours.train_function.__self__.loss.smoothing == 0.1


def test_a_saved_model_is_a_plain_one(pictures: np.ndarray, labels: np.ndarray, tmp_path: Path):
    """The file is that of the plain class, with the optimizer's state: loaded, it goes on as the model itself does."""
    ours, _ = twins(lambda: {"optimizer": optimizers.Adam(0.01)})
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"))
    fit(ours, pictures, labels, callbacks=[checkpoint])
    ours.save(tmp_path / "model.keras")
    expected = ours.predict(pictures, verbose=0)
    for path in ("best.keras", "model.keras"):
        loaded = keras.models.load_model(tmp_path / path)
        assert type(loaded) is keras.Sequential
        assert not hasattr(loaded, "lowering")
        assert loaded.predict(pictures, verbose=0) == pytest.approx(expected, abs=1e-5)
    same(*(fit(model, pictures, labels, shuffle=False) for model in (ours, loaded)))
    assert runs_in_the_engine(ours)
    again, plain = (keras.models.load_model(tmp_path / "best.keras") for _ in range(2))
    same(fit(accelerate(again, "float32"), pictures, labels), fit(plain, pictures, labels))
    assert pickle.loads(pickle.dumps(ours)).predict(pictures[:3], verbose=0).shape == (3, 3)  # noqa: S301
    assert keras.models.clone_model(ours).get_config()["layers"] == ours.get_config()["layers"]


def test_dropout_differs_by_step_and_repeats_by_seed(pictures: np.ndarray, labels: np.ndarray):
    """Masks differ from step to step and from fit to fit; the same seed gives the same training."""
    histories = []
    for seed in (1, 1, 2):
        model, _ = twins(lambda: {"optimizer": optimizers.SGD(0.0)}, dropout=0.5)
        histories.append(fit(model, pictures, labels, seed=seed, shuffle=False, batch_size=120)["loss"])
    assert histories[0] == histories[1]
    assert len(set(histories[0] + histories[2])) == 6


def test_a_loss_that_is_no_number_stops_the_training(pictures: np.ndarray, labels: np.ndarray):
    """TerminateOnNaN sees it."""
    model, _ = twins(dtype="float32")
    bad = np.full(pictures.shape, np.nan, np.float32)
    history = fit(model, bad, labels, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history["loss"]) == 1
    assert np.isnan(history["loss"][0])


def test_bfloat16_learns(pictures: np.ndarray, labels: np.ndarray):
    """In bfloat16 the loss falls as far as in float32, and predictions are float32 that sum to one."""
    model, plain = network(), network()
    for one in (model, plain):
        one.compile(optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    accelerate(model, "bfloat16")
    ours, theirs = (fit(one, pictures, labels, epochs=6) for one in (model, plain))
    assert ours["loss"][-1] == pytest.approx(theirs["loss"][-1], abs=0.1)
    assert model.train_function.__self__.program.every_parameter.dtype == torch.bfloat16
    predictions = model.predict(pictures, verbose=0)
    assert predictions.dtype == np.float32
    assert predictions.sum(1) == pytest.approx(1, abs=1e-5)


def test_the_lowering_is_told(pictures: np.ndarray, labels: np.ndarray):
    """`lowering` is a plain list of pairs, which Keras does not keep with the layers; twice accelerated is once."""
    ours, theirs = twins()
    agree(accelerate(ours, "float32"), theirs, pictures, labels, epochs=1)
    assert type(ours.lowering) is list
    named = {name for names, _ in ours.lowering for name in names.split(" + ")}
    assert {layer.name for layer in ours.layers} == named
    assert len(ours._layers) == len(theirs._layers)


class OwnStep(keras.Sequential):
    """A model with a training step of its own."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def plain_models() -> dict[str, tuple[Model, str]]:
    """Models that the engine cannot run, and what it is to say of them."""
    pixels = keras.Input((8, 8, 1))
    flat = layers.Flatten()(pixels)
    regularized = layers.Dense(3, "softmax", kernel_regularizer="l2")(flat)
    inputs = keras.Model([pixels, keras.Input((1,))], layers.Dense(3, "softmax")(flat))
    half = layers.Dense(3, "softmax", dtype="mixed_bfloat16")(flat)
    sized = layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(any_size := keras.Input((None, None, 1))))
    return {
        "step of its own": (
            OwnStep([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "softmax")]),
            "of its own",
        ),
        "regularizer": (keras.Model(pixels, regularized), "losses of its own"),
        "two inputs": (inputs, "one input and one output"),
        "half precision": (keras.Model(pixels, half), "computes in bfloat16"),
        "any size": (keras.Model(any_size, sized), "any size"),
    }


@pytest.mark.parametrize("name", plain_models())
def test_what_cannot_be_lowered_stays_plain(name: str, pictures: np.ndarray, labels: np.ndarray):
    """One warning says why, `lowering` too, and the model trains as in Keras."""
    keras.utils.set_random_seed(1)
    model, reason = plain_models()[name]
    model.compile("adam", SPARSE)
    with pytest.warns(UserWarning, match=reason) as told:
        accelerate(model)
    assert len(told) == 1
    assert reason in model.lowering[0][1]
    x = [pictures, labels[:, None]] if len(model.inputs) == 2 else pictures
    assert np.isfinite(fit(model, x, labels)["loss"]).all()


def test_a_model_may_become_plain_and_come_back(pictures: np.ndarray, labels: np.ndarray):
    """Compiled so that the engine cannot run it, a model goes on as plain Keras; compiled again, in the engine."""
    ours, theirs = twins()
    for model in (ours, theirs):
        model.compile(optimizers.SGD(0.1, loss_scale_factor=8.0), SPARSE)
    with pytest.warns(UserWarning, match="scales the loss"):
        history = fit(ours, pictures, labels)
    same(history, fit(theirs, pictures, labels))
    assert len(ours.lowering) == 1
    for model in (ours, theirs):
        model.compile(optimizers.SGD(0.1), SPARSE)
    agree(ours, theirs, pictures, labels)
    assert runs_in_the_engine(ours)


UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "not a model": (lambda: torch.nn.Linear(1, 1), "takes a keras.Model, not Linear"),
    "not built": (lambda: keras.Sequential([layers.Dense(3)], name="net"), "net is not built: "),
    "not compiled": (network, "net is not compiled: call its compile"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_model_that_is_not_ready_is_refused(name: str):
    """One sentence says what is missing."""
    make, sentence = UNFIT[name]
    with pytest.raises(ModelError, match=sentence):
        accelerate(make())


def test_an_unknown_precision_is_refused():
    """The known ones are named."""
    with pytest.raises(UsageError, match=r"no precision named 'float16'.*bfloat16"):
        accelerate(twins()[1], "float16")


BAD: dict[str, tuple[Callable[[np.ndarray, np.ndarray], tuple[Any, Any]], str]] = {
    "size": (lambda x, y: (x[:, :7], y), r"net takes inputs of shape \(n, 8, 8, 1\), not \(20, 7, 8, 1\)"),
    "rank": (lambda x, y: (x.reshape(-1, 64), y), r"net takes inputs of shape \(n, 8, 8, 1\), not \(20, 64\)"),
    "channels": (lambda x, y: (x.repeat(3, 3), y), r"net takes inputs of shape \(n, 8, 8, 1\), not \(20, 8, 8, 3\)"),
    "too large": (lambda x, y: (x, y + 2), "labels go from 2 to 4, but net has 3 classes, numbered 0 to 2"),
    "negative": (lambda x, y: (x, y - 1), "labels go from -1 to 1, but net has 3 classes"),
    "one-hot": (lambda x, y: (x, np.eye(3)[y]), r"takes class numbers of shape \(n,\) as labels, not \(20, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("later", [False, True], ids=["at first", "later"])
@pytest.mark.parametrize("name", BAD)
def test_data_that_do_not_fit_are_refused(name: str, later: bool, pictures: np.ndarray, labels: np.ndarray):
    """One sentence names what is expected and what came, in fit and evaluate, before or after a fit that went well."""
    change, sentence = BAD[name]
    model, _ = twins()
    if later:
        fit(model, pictures, labels, epochs=1)
    for verb in (model.fit, model.evaluate):
        with pytest.raises(DataError, match=sentence):
            verb(*change(pictures, labels), batch_size=20, verbose=0)


def test_class_numbers_for_a_one_hot_loss_are_refused(pictures: np.ndarray, labels: np.ndarray):
    """The sentence names the loss that fits."""
    model, _ = twins(lambda: {"loss": "categorical_crossentropy"})
    with pytest.raises(DataError, match=r"of shape \(n, 3\), not \(20,\): for class numbers there is sparse_"):
        model.fit(pictures, labels, batch_size=20, verbose=0)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pixels_from_0_to_1_are_warned_of_once(dtype: str, pictures: np.ndarray, labels: np.ndarray):
    """A model that divides by 255 warns of pixels that have been divided already, once; of whole ones it does not."""
    model, _ = twins(dtype=dtype)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(model, pictures.astype(np.float32), labels)
        fit(model, pictures / 255, labels)
        model.predict(pictures / 255, verbose=0)
    said = [str(warning.message) for warning in told if warning.category is UserWarning]
    assert len(said) == 1
    assert "net takes pixels from 0 to 255, but these go from 0 to 0.98" in said[0]
