import random
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.errors import EyespotError, ModelError
from eyespot.models import loading
from eyespot.models.architectures import ARCHITECTURES, build
from eyespot.models.loading import load_model, load_weights
from eyespot.training.checkpoint import read_checkpoint
from tests.models.vetting import hostile
from tests.models.vetting.hostile import HOSTILE, Place

layers = keras.layers
SECRET = np.arange(12, dtype=np.float32).reshape(4, 3) + 0.5


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder for the hostile file, a secret beside it, and the place where the canary would be."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = SECRET
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    return Place(tmp_path / "deep" / "deeper", tmp_path / "canary", secret)


def load(path: Path, *, trust: bool = False) -> object:
    """As eyespot would open a file of this kind."""
    if path.is_dir():
        return read_checkpoint(path)
    if path.name.endswith(".weights.h5"):
        return load_weights(keras.Sequential([keras.Input((4,)), layers.Dense(3, name="head")]), path)
    return load_model(path, trust=trust)


def everything(place: Place) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in place.canary.parent.rglob("*")}


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str, trust: bool, place: Place):
    """Each is refused in one sentence that says why; no code in it has run, and nothing was written.

    Trust is no way around: it admits classes that are registered here, and there is just one of those.
    """
    write, told = HOSTILE[name]
    path = write(place)
    before = everything(place)
    if trust and name == "registered class":
        return
    with pytest.raises(EyespotError) as refused:
        load(path, trust=trust)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert trust or re.search(told, str(refused.value)), refused.value
    assert everything(place) == before
    assert not place.canary.exists()


def test_the_honest_files_are_opened(place: Place):
    """A control: what the hostile files are made from is nothing to be refused."""
    assert isinstance(load(hostile.archive(place)), keras.Model)
    load(hostile.weights(lambda kernel, _: kernel.create_dataset("0", data=SECRET))(place))


def naive(path: Path) -> Any:
    """A loader that trusts everybody."""
    if path.is_dir():
        with np.load(path / "arrays.npz", allow_pickle=True) as arrays:
            return dict(arrays)
    if path.name.endswith(".weights.h5"):
        with h5py.File(path) as file:
            return file["layers/dense/vars/0"][()]
    return keras.saving.load_model(path, compile=False, safe_mode=False)


@pytest.mark.filterwarnings("ignore")  # what a naive loader warns of is not heeded
@pytest.mark.parametrize(
    "name",
    [
        "lambda", "lambda in a wrapper", "lambda in HDF5", "torch module",
        "registered class", "pickled checkpoint",
    ],
)  # fmt: skip
def test_the_canary_would_have_told(name: str, place: Place):
    """A control: opened by a loader that trusts everybody, the code in these files runs."""
    path = HOSTILE[name][0](place)
    with suppress(Exception):  # some files are of no use but for their code
        naive(path)
    assert place.canary.exists()


@pytest.mark.parametrize("name", ["external storage", "external link", "virtual array"])
def test_the_secret_would_have_been_read(name: str, place: Place):
    """A control: HDF5's own library hands out what another file holds."""
    read = naive(HOSTILE[f"weights: {name}"][0](place))
    assert np.array_equal(read, SECRET) or read.tobytes() == place.secret.read_bytes()[:48]


def test_a_registered_class_is_built_where_the_file_is_trusted(place: Place):
    """`trust` admits classes that the program has registered, and nothing else needs it."""
    path = HOSTILE["registered class"][0](place)
    assert isinstance(load_model(path, trust=True), keras.Model)
    assert place.canary.exists()


@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Dense):
    """A user's own layer, which does nothing wrong."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return 2 * super().call(inputs)


def test_layers_of_ones_own_need_trust(tmp_path: Path):
    """The refusal names the class and says what to do; with `trust`, the model is as it was."""
    model = keras.Sequential([keras.Input((4,)), Doubled(3)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"holds 'Doubled' of 'tests.models.vetting.test_attacks'.*pass `trust=True`"):
        load_model(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras", trust=True)
    ones = np.ones((1, 4), np.float32)
    assert np.array_equal(keras.ops.convert_to_numpy(loaded(ones)), keras.ops.convert_to_numpy(model(ones)))


def is_opened(model: keras.Model, path: Path) -> bool:
    """Whether a model, saved, is opened with its weights and as Keras would open it."""
    model.save(path)
    ours, theirs = load_model(path), keras.saving.load_model(path, compile=False)
    return ours.get_config() == theirs.get_config() and all(
        np.array_equal(new, old) and new.dtype == old.dtype
        for new, old in zip(ours.get_weights(), model.get_weights(), strict=True)
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_eyespot_writes_is_opened(name: str, tmp_path: Path):
    """Every architecture, compiled and with its optimizer's state, as training leaves it."""
    model = build(name, (28, 28, 1), 3)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    assert is_opened(model, tmp_path / "m.keras")


def augmented() -> list[keras.Layer]:
    return [
        layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomTranslation(0.1, 0.1), layers.RandomZoom(0.1),
        layers.RandomContrast(0.1), layers.RandomBrightness(0.1), layers.RandomErasing(), layers.GaussianNoise(0.1),
        keras.Sequential([layers.RandomCrop(6, 6), layers.CenterCrop(5, 5), layers.Resizing(8, 8)]),
    ]  # fmt: skip


def adapted() -> list[keras.Layer]:
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).uniform(0, 255, (20, 3)))
    return [normalization, layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0])]


def mixed() -> list[keras.Layer]:
    options = {"kernel_regularizer": "l2", "kernel_constraint": keras.constraints.MaxNorm(2)}
    return [
        layers.Conv2D(4, 3, activation=keras.ops.silu, **options), layers.Dense(3, activation=layers.LeakyReLU()),
        layers.SeparableConv2D(4, 3, activation=keras.activations.gelu), layers.SpatialDropout2D(0.1), layers.PReLU(),
        layers.Dense(4, dtype="mixed_bfloat16", kernel_initializer=keras.initializers.Constant(0.5)),
        layers.Dense(4, dtype="bfloat16"), layers.Dense(4, dtype="float16"), layers.BatchNormalization(renorm=True),
        layers.LayerNormalization(), layers.GroupNormalization(2), layers.TimeDistributed(layers.Dense(3)),
        layers.Reshape((-1, 3)), layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(3, return_sequences=True),
    ]  # fmt: skip


@pytest.mark.parametrize("middle", [augmented, adapted, mixed])
def test_ordinary_models_are_opened(middle: Callable[[], list[keras.Layer]], tmp_path: Path):
    """Layers of all kinds, nested, of other number types, with weights of their own."""
    ends = layers.Flatten(), layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 3), dtype="uint8"), layers.Rescaling(1 / 255), *middle(), *ends])
    assert is_opened(model, tmp_path / "m.keras")


def test_a_graph_with_branches_and_operations_is_opened(tmp_path: Path):
    """Functional models, of layers, `keras.ops` and slices; a loss of one's own is left out, as all losses are."""
    pixels = keras.Input((8, 8, 3))
    left, right = layers.Conv2D(4, 3)(pixels / 255), layers.Conv2D(4, 3)(keras.ops.relu(pixels))
    joined = layers.Concatenate()([left, right])[:, 1:]
    attended = layers.MultiHeadAttention(2, 2)(joined, joined)
    output = layers.Dense(3, activation="softmax")(keras.ops.mean(attended, axis=(1, 2)))
    model = keras.Model(pixels, output)
    model.compile("sgd", lambda true, predicted: keras.ops.mean(predicted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the loss, which is a lambda
        assert is_opened(model, tmp_path / "m.keras")


def test_layers_that_keras_keeps_for_itself_are_opened(tmp_path: Path):
    """A network built as ConvNeXtTiny is, with a block a stage, has Keras's own layers for it."""
    make = sys.modules[keras.applications.ConvNeXtTiny.__module__].ConvNeXt
    model = make([1, 1, 1, 1], [4, 8, 8, 8], 0.1, weights=None, input_shape=(32, 32, 3), classes=3)
    assert {"LayerScale", "StochasticDepth"} <= {type(layer).__name__ for layer in model.layers}
    assert is_opened(model, tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["MobileNetV2", pytest.param("ConvNeXtTiny", marks=pytest.mark.slow)])
def test_networks_of_keras_applications_are_opened(name: str, tmp_path: Path):
    """They have hundreds of arrays; ConvNeXtTiny has millions of weights."""
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=3)
    assert is_opened(model, tmp_path / "m.keras")


def test_weights_are_loaded(tmp_path: Path):
    """A `.weights.h5` file gives a model of the same layers its weights, and another model a sentence."""
    first, second = (build("cnn", (8, 8, 1), 3, seed=seed) for seed in (1, 2))
    first.save_weights(tmp_path / "m.weights.h5")
    load_weights(second, tmp_path / "m.weights.h5")
    assert all(np.array_equal(new, old) for new, old in zip(second.get_weights(), first.get_weights(), strict=True))
    with pytest.raises(ModelError, match="weights of this model"):
        load_weights(build("mlp", (8, 8, 1), 3), tmp_path / "m.weights.h5")


def test_files_that_are_no_weights_are_told(tmp_path: Path):
    """A missing file, and one of another name."""
    with pytest.raises(ModelError, match="no weights file"):
        load_weights(build("mlp", (8, 8, 1), 3), tmp_path / "m.weights.h5")
    with pytest.raises(ModelError, match=r"model\.save_weights"):
        load_weights(build("mlp", (8, 8, 1), 3), tmp_path / "m.h5")


def test_looking_draws_no_random_numbers():
    """What is built to be counted takes nothing from Python's generator, from which Keras seeds layers."""
    before = random.getstate()
    with loading._without_memory():
        layers.Dropout(0.5)
        assert random.getstate() != before
    assert random.getstate() == before
