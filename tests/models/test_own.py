from pathlib import Path

import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.architectures import build
from eyespot.models.own import load_model, takes_raw_pixels

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
        ("fixed", r"takes pictures of \(8, 8, 1\)"),
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
