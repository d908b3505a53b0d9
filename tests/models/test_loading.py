import random
from pathlib import Path

import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.architectures import ARCHITECTURES, build, cnn
from eyespot.models.layers import Shape
from eyespot.models.loading import continue_from, load_model, takes_raw_pixels, with_fresh_weights

SHAPE = (8, 8, 1)


def same(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_weights_are_a_function_of_the_seed_alone(monkeypatch: pytest.MonkeyPatch):
    """What else draws from Python's global generator while a model is built changes nothing; another seed changes all.

    Beartype does, for one, wherever it checks the items of a list.
    """

    def disturbed(input_shape: Shape, classes: int) -> keras.Model:
        random.getrandbits(32)
        return cnn(input_shape, classes)

    first = build("cnn", SHAPE, 3, seed=4)
    monkeypatch.setitem(ARCHITECTURES, "cnn", disturbed)
    assert same(first, build("cnn", SHAPE, 3, seed=4))
    other = build("cnn", SHAPE, 3, seed=5)
    kernels = [(a, b) for a, b in zip(first.get_weights(), other.get_weights(), strict=True) if a.ndim > 1]
    assert kernels
    assert not any(np.array_equal(a, b) for a, b in kernels)


def test_layers_of_one_shape_differ():
    """Each layer has a stream of its own."""
    dense = [keras.layers.Dense(4, name=name) for name in ("one", "other")]
    model = with_fresh_weights(keras.Sequential([keras.Input((4,)), *dense]), 1)
    assert not np.array_equal(model.get_layer("one").kernel, model.get_layer("other").kernel)


def test_a_seed_of_its_own_is_kept():
    """An initializer that was given a seed keeps it, and neither draws nor saves ours."""
    given = keras.layers.Dense(4, kernel_initializer=keras.initializers.HeNormal(seed=7))
    model = keras.Sequential([keras.Input((4,)), given, keras.layers.Dense(4)])
    fresh = with_fresh_weights(model, 1)
    assert np.array_equal(fresh.layers[0].kernel, model.layers[0].kernel)
    assert fresh.get_config() == model.get_config()


def test_a_saved_model_is_drawn_anew_by_seed(tmp_path: Path):
    """A `.keras` file gives its architecture; the weights come from the run's seed."""
    path = str(tmp_path / "own.keras")
    build("mlp", SHAPE, 3, seed=1).save(path)
    assert same(build(path, SHAPE, 3, seed=1), build(path, SHAPE, 3, seed=1))
    assert not same(build(path, SHAPE, 3, seed=1), build(path, SHAPE, 3, seed=2))


def test_a_new_head_is_drawn_by_seed():
    """The new head of a model that is continued is a function of the seed."""
    trained = build("mlp", SHAPE, 3)
    heads = [
        continue_from(trained, "t", SHAPE, 5, new_head=True, freeze=False, seed=seed).layers[-1].kernel.numpy()
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])


GOOD = """
import keras
def net(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape, dtype="uint8"), keras.layers.Rescaling(1 / 255),
                             keras.layers.Flatten(), keras.layers.Dense(classes, activation="softmax")])
def fixed():
    return net((8, 8, 1), 3)
def linear(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])
def nothing():
    return 42
def broken():
    return 1 / 0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def test_a_function_in_a_file(file: Path):
    """`path.py:function` is called with the input shape and the classes, or with nothing where it takes nothing."""
    assert build(f"{file}:net", (6, 7, 3), 4).output_shape == (None, 4)
    assert build(f"{file}:fixed", (8, 8, 1), 3).output_shape == (None, 3)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("missing", "no function named 'missing'"),
        ("fixed", r"takes images of \(8, 8, 1\)"),
        ("linear", "must end in softmax"),
        ("nothing", "must return a keras.Model; received int"),
        ("broken", "failed with ZeroDivisionError"),
    ],
)
def test_a_function_that_does_not_fit_is_told(file: Path, function: str, told: str):
    """What the function lacks is one sentence that names it."""
    with pytest.raises(ModelError, match=told):
        build(f"{file}:{function}", (6, 7, 3), 4)


def test_a_wrong_class_count_is_told(file: Path):
    """A model for three classes is refused where there are four."""
    with pytest.raises(ModelError, match="one probability a class"):
        build(f"{file}:fixed", (8, 8, 1), 4)


def test_a_file_that_cannot_be_imported_is_told(tmp_path: Path):
    """A syntax error or a missing file is named, not thrown as it is."""
    bad = tmp_path / "bad.py"
    bad.write_text("def net(:")
    with pytest.raises(ModelError, match="cannot be imported: SyntaxError"):
        build(f"{bad}:net", (8, 8, 1), 3)
    with pytest.raises(ModelError, match="no file"):
        build(f"{tmp_path}/none.py:net", (8, 8, 1), 3)


def test_a_keras_file_gives_its_architecture_with_fresh_weights(file: Path, tmp_path: Path):
    """`--model x.keras` names an architecture only: the weights are drawn anew."""
    saved = build(f"{file}:fixed", (8, 8, 1), 3, seed=1)
    saved.save(tmp_path / "m.keras")
    fresh = build(str(tmp_path / "m.keras"), (8, 8, 1), 3, seed=2)
    assert fresh.count_params() == saved.count_params()
    assert not np.array_equal(fresh.get_weights()[0], saved.get_weights()[0])
    assert np.array_equal(load_model(tmp_path / "m.keras").get_weights()[0], saved.get_weights()[0])


def test_files_that_are_no_models_are_told(tmp_path: Path):
    """Missing, damaged and HDF5 files each get their own sentence."""
    (tmp_path / "x.keras").write_bytes(b"not a zip")
    (tmp_path / "x.h5").write_bytes(b"\x89HDF")
    for name, told in (("none.keras", "no model file"), ("x.keras", "not a Keras model"), ("x.h5", "can carry code")):
        with pytest.raises(ModelError, match=told):
            load_model(tmp_path / name)


def test_a_model_without_rescaling_is_noticed(file: Path):
    """Whether a model takes raw pixels can be told from its layers."""
    assert takes_raw_pixels(build(f"{file}:fixed", (8, 8, 1), 3))
    assert not takes_raw_pixels(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")]))


def test_what_normalization_adapted_to_is_kept(tmp_path: Path):
    """A `.keras` file's weights are drawn anew, its preprocessing is not."""
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).integers(50, 110, (20, 8, 8, 1)).astype(np.float32))
    layers = [keras.Input((8, 8, 1), dtype="uint8"), normalization, keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    model.save(tmp_path / "m.keras")
    rebuilt = build(str(tmp_path / "m.keras"), (8, 8, 1), 3)
    np.testing.assert_allclose(rebuilt.layers[0].mean, keras.ops.convert_to_numpy(normalization.mean), rtol=1e-6)
    assert not np.allclose(rebuilt.get_weights()[-2], model.get_weights()[-2])


def test_an_unbuilt_model_is_told(tmp_path: Path):
    """A function that returns a model without an input gets a sentence, not a traceback."""
    path = tmp_path / "unbuilt.py"
    path.write_text("import keras\ndef net():\n    return keras.Sequential([keras.layers.Dense(3)])\n")
    with pytest.raises(ModelError, match=r"keras\.Input"):
        build(f"{path}:net", (8, 8, 1), 3)


def trainable(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.trainable_weights]


def test_the_same_classes_keep_everything():
    """With the same classes, the model is taken as it is."""
    trained = build("cnn", SHAPE, 3)
    assert continue_from(trained, "t", SHAPE, 3, new_head=False, freeze=False) is trained


def test_other_classes_get_a_new_head():
    """With other classes, only the last dense layer is new; the layers before it are shared."""
    trained = build("cnn", SHAPE, 3)
    model = continue_from(trained, "t", SHAPE, 5, new_head=True, freeze=False)
    assert model.output_shape == (None, 5)
    before = {weight.path for weight in trained.weights} - {weight.path for weight in trained.layers[-1].weights}
    assert before <= {weight.path for weight in model.weights}
    first = trained.layers[1]
    assert model.get_layer(first.name) is first


def test_a_softmax_after_the_head_stays():
    """Layers after the head are put back after the new one."""
    layers = keras.layers
    trained = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3), layers.Softmax()])
    model = continue_from(trained, "t", SHAPE, 4, new_head=True, freeze=False)
    assert model.output_shape == (None, 4)
    assert isinstance(model.layers[-1], layers.Softmax)


@pytest.mark.parametrize("new_head", [True, False])
def test_freezing_leaves_only_the_head(new_head: bool):
    """Frozen, nothing but the head is trained."""
    model = continue_from(build("cnn", SHAPE, 3), "t", SHAPE, 3, new_head=new_head, freeze=True)
    assert trainable(model) == [model.layers[-1].name]


def test_other_pictures_are_refused():
    """A model for 8x8 images cannot go on with 9x9 ones."""
    with pytest.raises(ModelError, match="takes images of"):
        continue_from(build("mlp", SHAPE, 3), "my run", (9, 9, 1), 3, new_head=False, freeze=False)


def test_a_model_without_a_head_is_refused():
    """Without a dense layer there is nothing to replace."""
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    with pytest.raises(ModelError, match="no dense layer"):
        continue_from(model, "m", SHAPE, 3, new_head=True, freeze=False)


def test_frozen_layers_thaw():
    """A run trained with its body frozen can be continued with all of it: freezing does not stick."""
    frozen = continue_from(build("cnn", SHAPE, 3), "t", SHAPE, 3, new_head=False, freeze=True)
    thawed = continue_from(frozen, "t", SHAPE, 3, new_head=False, freeze=False)
    assert all(layer.trainable for layer in thawed.layers)


def test_a_model_that_is_not_built_is_told():
    """A Sequential that has not seen an input yet cannot be continued from."""
    with pytest.raises(ModelError, match="must be a built"):
        continue_from(keras.Sequential([keras.layers.Dense(3)]), "m", SHAPE, 3, new_head=False, freeze=False)
