"""A user's own model, trained elsewhere on pixels of some range, is given that range."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from eyespot import Dataset, Recipe, Split, load, open_run, train
from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError
from eyespot.exporting.format_keras import FORMAT as KERAS
from eyespot.models.input_range import Scaling, as_input, scalings
from eyespot.workflow._evaluate import evaluate
from eyespot.workflow._explain import explain
from tests.conftest import Answer
from tests.exporting.sources import source_of

layers = keras.layers
RANGES = ("0-255", "0-1", "-1-1", "standardised")
SHAPE, HIDDEN = (8, 8, 1), 32
# Nothing is learnt, so that what is found afterwards is what the file holds.
STILL = {"epochs": 1, "learning_rate": 1e-9, "precision": "float32"}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """Real digits of 8x8."""
    return load("digits")


@pytest.fixture(scope="module")
def known(digits: Dataset) -> dict[str, Scaling]:
    """How each range is made of pixels."""
    return scalings(digits.train.images)


@pytest.fixture(scope="module")
def trained(digits: Dataset, known: dict[str, Scaling]) -> dict[str, list[np.ndarray]]:
    """Weights of a perceptron that has learnt digits in each range; scikit-learn knows nothing of eyespot."""

    def weights(name: str) -> list[np.ndarray]:
        activation = "relu" if name == "0-255" else "tanh"
        network = MLPClassifier(HIDDEN, activation=activation, learning_rate_init=0.01, max_iter=30, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(known[name](digits.train.images).reshape(-1, 64), digits.train.labels)
        return [array for pair in zip(network.coefs_, network.intercepts_, strict=True) for array in pair]

    return {name: weights(name) for name in RANGES}


def keras_model(name: str, weights: list[np.ndarray], shape: tuple[int, ...] = SHAPE, *front: Any) -> keras.Model:
    hidden = layers.Dense(HIDDEN, activation="relu" if name == "0-255" else "tanh")
    head = layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input(shape), *front, layers.Flatten(), hidden, head])
    hidden.set_weights(weights[:2])
    head.set_weights(weights[2:])
    return model


def accuracy(model: keras.Model, images: np.ndarray, split: Split) -> float:
    answers = model.predict(as_input(model, images), verbose=0).argmax(axis=1)
    return float((answers == split.labels).mean())


@pytest.mark.parametrize(("name", "shape"), [*((name, SHAPE) for name in RANGES), ("0-1", (8, 8)), ("0-255", (64,))])
def test_the_range_is_found_and_goes_into_the_run(  # noqa: PLR0917 - fixtures
    name: str,
    shape: tuple[int, ...],
    digits: Dataset,
    known: dict[str, Scaling],
    trained: dict[str, list[np.ndarray]],
    tmp_path: Path,
):
    """A model that expects any range reads raw pixels as well in its run: in plain Keras and in ONNX."""
    model = keras_model(name, trained[name], shape)
    model.save(tmp_path / "theirs.keras")
    assert digits.test is not None
    before = accuracy(model, known[name](digits.test.images), digits.test)
    assert before > 0.9
    recipe = Recipe.parse({"model": {"from": str(tmp_path / "theirs.keras")}, "training": STILL})
    run = train(digits, recipe, tmp_path / "r").run
    assert run.recipe.model.input_range == name
    told = (run.path / "log").read_text()
    assert f"pixels in {name}" in told
    assert "of 1,000 training images so" in told
    assert ("Rescaling is now part of the run's model" in told) == (name != "0-255")
    assert run.metrics["test"]["accuracy"] == pytest.approx(before, abs=0.004)
    plain = keras.saving.load_model(run.path / "model.keras", compile=False)
    found = plain.predict(digits.test.images, verbose=0)
    assert accuracy(plain, digits.test.images, digits.test) == pytest.approx(before, abs=0.004)
    logits, _ = run.predictor().logits_and_probabilities(digits.test.images)
    assert (logits.argmax(axis=1) == found.argmax(axis=1)).mean() > 0.99
    names = [layer.name for layer in plain.layers]
    assert ("pixel_range" in names) == (name != "0-255")


def test_training_on_does_not_make_it_worse(
    digits: Dataset, known: dict[str, Scaling], trained: dict[str, Any], tmp_path: Path
):
    """A tutorial's model is as good after a usual epoch as it was before."""
    model = keras_model("0-1", trained["0-1"])
    model.save(tmp_path / "theirs.keras")
    assert digits.test is not None
    before = accuracy(model, known["0-1"](digits.test.images), digits.test)
    after = train(digits, start=str(tmp_path / "theirs.keras"), epochs=1, output=tmp_path / "r").test
    assert after is not None
    assert after.accuracy > before - 0.02


def test_the_user_decides(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """A range that is asked for is used, and a warning says where the model reads another significantly better."""
    keras_model("-1-1", trained["-1-1"]).save(tmp_path / "theirs.keras")
    wanted = {"from": str(tmp_path / "theirs.keras"), "input_range": "0-255"}
    asked = Recipe.parse({"model": wanted, "training": STILL})
    run = train(digits, asked, tmp_path / "r").run
    assert run.recipe.model.input_range == "0-255"
    told = (run.path / "log").read_text()
    assert "The model gets pixels in 0-255, as model.input_range says." in told
    assert "Warning: it reads " in told
    assert "--input-range -1-1 fits better" in told
    right = train(digits, asked, tmp_path / "s", input_range="-1-1").run
    assert "Warning" not in (right.path / "log").read_text().split("sequential")[0]
    assert right.metrics["test"]["accuracy"] > run.metrics["test"]["accuracy"]


def test_the_runs_recipe_does_it_again(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """The recipe of a run names the range, and its training, resumed or repeated, begins with the same model."""
    keras_model("standardised", trained["standardised"]).save(tmp_path / "theirs.keras")
    options = {"start": str(tmp_path / "theirs.keras"), "precision": "float32"}
    run = train(digits, output=tmp_path / "a", epochs=2, **options).run
    written = yaml.safe_load((run.path / "recipe.yaml").read_text())
    assert written["model"]["input_range"] == "standardised"
    again = train(digits, run.recipe, tmp_path / "b").run
    assert again.history.rows[0]["loss"] == run.history.rows[0]["loss"]
    shorter = train(digits, output=tmp_path / "c", epochs=1, **options).run
    resumed = train(digits, resume=shorter.path, recipe=run.recipe, accept_changes=True).run
    assert resumed.history.rows[1]["val_loss"] == run.history.rows[1]["val_loss"]
    on = train(digits, start=str(run.path), epochs=1, output=tmp_path / "d").run
    kinds = [type(layer).__name__ for layer in on.model().layers]
    assert kinds.count("Rescaling") == 1


def test_it_explains_evaluates_and_exports(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """What is made of the run knows the rescaling at its beginning, and answers as it does."""
    keras_model("0-1", trained["0-1"], (64,)).save(tmp_path / "theirs.keras")
    recipe = Recipe.parse({"model": {"from": str(tmp_path / "theirs.keras")}, "training": STILL})
    run = train(digits, recipe, tmp_path / "r").run
    assert digits.test is not None
    assert evaluate(run, on=digits).evaluation.accuracy == run.metrics["test"]["accuracy"]
    Image.fromarray(digits.test.images[0, ..., 0]).save(tmp_path / "p.png")
    found = explain(run, tmp_path / "p.png", methods=["occlusion", "integrated-gradients", "filters"])
    assert found.filters is not None
    (tmp_path / "e").mkdir()
    KERAS.write(source_of(run, digits), tmp_path / "e")
    exported = keras.saving.load_model(tmp_path / "e" / "model.keras", compile=False)
    answers = exported.predict(digits.test.images, verbose=0)
    np.testing.assert_allclose(answers, run.predictor().probabilities(digits.test.images), atol=1e-4)


def test_a_model_that_rescales_is_left_alone(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """Where rescaling is inside already, none is added, and the log says what was found."""
    keras_model("0-1", trained["0-1"], SHAPE, layers.Rescaling(1 / 255)).save(tmp_path / "theirs.keras")
    recipe = Recipe.parse({"model": {"from": str(tmp_path / "theirs.keras")}, "training": STILL})
    run = train(digits, recipe, tmp_path / "r").run
    assert run.recipe.model.input_range == "0-255"
    assert [type(layer).__name__ for layer in run.model().layers].count("Rescaling") == 1
    assert run.metrics["test"]["accuracy"] > 0.9


def test_normalization_that_was_adapted_to_another_range(digits: Dataset, known: dict[str, Scaling], tmp_path: Path):
    """Pixels were divided by 255 before a `Normalization` was adapted: its mean says so, untrained weights or not."""
    normalization = layers.Normalization()
    normalization.adapt(known["0-1"](digits.train.images))
    head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input(SHAPE), normalization, *head]).save(tmp_path / "theirs.keras")
    run = train(digits, model=str(tmp_path / "theirs.keras"), epochs=1, output=tmp_path / "r").run
    assert run.recipe.model.input_range == "0-1"
    assert "The model's first layers expect pixels in 0-1." in (run.path / "log").read_text()


@pytest.mark.parametrize("how", ["--model", "--from", "other classes", "width"])
def test_what_nothing_tells_is_assumed_and_said(how: str, digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """Fresh weights, or other classes: 0-1, as tutorials have it, is assumed, and the log says how to change that."""
    weights = trained["0-1"]
    if how == "--from":
        weights = [np.zeros_like(array) for array in weights]
    keras_model("0-1", weights).save(tmp_path / "theirs.keras")
    path, options = str(tmp_path / "theirs.keras"), {}
    if how == "other classes":
        rows = np.flatnonzero(digits.train.labels < 3)
        digits = Dataset("three", ("0", "1", "2"), digits.train.take(rows))
    if how == "width":
        options["settings"] = {"model.width": 2.0}
    named = {"start": path} if how in {"--from", "other classes"} else {"model": path}
    run = train(digits, epochs=1, output=tmp_path / "r", **named, **options).run
    told = (run.path / "log").read_text()
    assert run.recipe.model.input_range == "0-1"
    assert "0-1 is assumed" in told
    assert "--input-range 0-255, -1-1 or standardised changes that" in told
    assert run.model().layers[1].scale == pytest.approx(1 / 255)


def test_a_function_that_divides_is_read(bars: Dataset, tmp_path: Path):
    """A function's model with x / 255 inside, as a `Lambda` or an operator, gets pixels as they are."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import keras\ndef net(input_shape, classes):\n    pixels = keras.Input(input_shape)\n"
        "    return keras.Model(pixels, keras.layers.Dense(classes, activation='softmax')("
        "keras.layers.Flatten()(pixels / 255.0)))\n"
    )
    run = train(bars, model=f"{path}:net", epochs=1, output=tmp_path / "r").run
    assert run.recipe.model.input_range == "0-255"
    assert "first layers expect pixels in 0-255" in (run.path / "log").read_text()


def test_other_classes_of_the_same_number_do_not_mislead(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """Accuracy no better than chance is no evidence: the labels are of other classes."""
    keras_model("-1-1", trained["-1-1"]).save(tmp_path / "theirs.keras")
    shuffled = np.random.default_rng(0).permutation(digits.train.labels)
    other = Dataset("other", tuple("abcdefghij"), Split(digits.train.images, shuffled))
    run = train(other, start=str(tmp_path / "theirs.keras"), epochs=1, output=tmp_path / "r").run
    assert "0-1 is assumed" in (run.path / "log").read_text()


def test_only_models_of_ones_own_have_a_range(bars: Dataset, tmp_path: Path):
    """Eyespot's own architectures begin with raw pixels, so a range for them is refused before anything is written."""
    with pytest.raises(ModelError, match=r"model\.input_range goes with a model of your own; mlp"):
        train(bars, model="mlp", input_range="0-1", output=tmp_path / "r")
    assert not (tmp_path / "r").exists()
    with pytest.raises(RecipeError, match="input_range must be 'auto', '0-255', '0-1', '-1-1' or 'standardised'"):
        train(bars, input_range="0-2")


def test_the_option(digits: Dataset, trained: dict[str, Any], here: Path, eyespot: Callable[..., Answer]):
    """`--input-range` takes every range, one that begins with a minus too; `--set` and YAML have its name."""
    keras_model("-1-1", trained["-1-1"]).save(here / "theirs.keras")
    usual = ("train", "digits", "--from", "theirs.keras", "--epochs", 1)
    first = eyespot(*usual, "--input-range", "-1-1", "--output", "a")
    assert first.code == 0, first.err
    assert "as model.input_range says" in first.out
    second = eyespot(*usual, "--set", "model.input_range=standardised", "--output", "b")
    assert second.code == 0, second.err
    assert [open_run(name).recipe.model.input_range for name in "ab"] == ["-1-1", "standardised"]
    third = eyespot("train", "a/recipe.yaml", "--output", "c")
    assert third.code == 0, third.err
    assert open_run("c").recipe.model.input_range == "-1-1"
