"""A user's own model, trained elsewhere on pixels of some range, is given that range."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from eyespot import Dataset, Split, load, open_run, train
from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError
from eyespot.exporting.keras import FORMAT as KERAS
from eyespot.models.input_range import Scaling, as_input, scalings
from eyespot.recipe.changes import parse_setting
from eyespot.recipe.schema import Recipe
from eyespot.workflow.explain import explain
from eyespot.workflow.find_input_range import RangeScore, _chosen
from eyespot.workflow.prepare import PreparedTraining, prepare
from tests.conftest import Answer
from tests.exporting.sources import source_of

layers = keras.layers
RANGES = ("0-255", "0-1", "-1-1", "standardised")
SHAPE, HIDDEN = (8, 8, 1), 32


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
            network.fit(known[name](np.asarray(digits.train.images)).reshape(-1, 64), digits.train.labels)
        return [array for pair in zip(network.coefs_, network.intercepts_, strict=True) for array in pair]

    return {name: weights(name) for name in RANGES}


def keras_model(name: str, weights: list[np.ndarray], shape: tuple[int, ...] = SHAPE, *front: Any) -> keras.Model:
    hidden = layers.Dense(HIDDEN, activation="relu" if name == "0-255" else "tanh")
    head = layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input(shape), *front, layers.Flatten(), hidden, head])
    hidden.set_weights(weights[:2])
    head.set_weights(weights[2:])
    return model


def prepared(dataset: Dataset, **options: Any) -> PreparedTraining:
    """What a training begins with."""
    return prepare(dataset, None, {}, options, trust=False, verbose=0)


def accuracy(model: keras.Model, images: np.ndarray, split: Split) -> float:
    answers = model.predict(as_input(model, images), verbose=0).argmax(axis=1)
    return float((answers == split.labels).mean())


@pytest.mark.parametrize(("name", "shape"), [*((name, SHAPE) for name in RANGES), ("0-1", (8, 8)), ("-1-1", (64,))])
def test_the_range_is_found(  # noqa: PLR0917 - fixtures
    name: str,
    shape: tuple[int, ...],
    digits: Dataset,
    known: dict[str, Scaling],
    trained: dict[str, list[np.ndarray]],
    tmp_path: Path,
):
    """A model that expects any range reads raw pixels as well as before, and what was found is said."""
    model = keras_model(name, trained[name], shape)
    model.save(tmp_path / "theirs.keras")
    assert digits.test is not None
    before = accuracy(model, known[name](np.asarray(digits.test.images)), digits.test)
    assert before > 0.9
    ready = prepared(digits, start=str(tmp_path / "theirs.keras"))
    assert accuracy(ready.model, np.asarray(digits.test.images), digits.test) == pytest.approx(before, abs=0.004)
    assert ready.recipe.model.input_range == name
    (told,) = [note for note in ready.notes if "pixels in" in note]
    assert told.startswith(
        (f"The model expects pixels in {name}: ", f"The model is taken to expect pixels in {name}, ")
    )
    assert "of 1,000 training images so" in told
    assert ("Rescaling is now part of the run's model" in told) == (name != "0-255")
    assert ("pixel_range" in [layer.name for layer in ready.model.layers]) == (name != "0-255")


def test_a_tutorials_model_is_trained_on(
    digits: Dataset, known: dict[str, Scaling], trained: dict[str, Any], tmp_path: Path
):
    """After an epoch a model for x / 255 is no worse than before, in plain Keras, in ONNX, exported and explained."""
    model = keras_model("0-1", trained["0-1"], (8, 8))
    model.save(tmp_path / "theirs.keras")
    assert digits.test is not None
    images = digits.test.images
    before = accuracy(model, known["0-1"](np.asarray(images)), digits.test)
    run = train(digits, output=tmp_path / "r", start=str(tmp_path / "theirs.keras"), epochs=1).run
    assert run.metrics["test"]["accuracy"] > before - 0.01
    assert "The model expects pixels in 0-1" in (run.path / "log").read_text()
    plain = keras.saving.load_model(run.path / "model.keras", compile=False)
    found = plain.predict(images, verbose=0)
    logits, _ = run.predictor().logits_and_probabilities(images)
    np.testing.assert_allclose(softmax(logits, axis=1), found, atol=1e-4)
    KERAS.write(source_of(run, digits), tmp_path)
    exported = keras.saving.load_model(tmp_path / "model.keras", compile=False).predict(images, verbose=0)
    np.testing.assert_allclose(exported, run.predictor().probabilities(images), atol=1e-4)
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "p.png")
    assert explain(run, tmp_path / "p.png", methods=["integrated-gradients", "filters"]).filters is not None
    resumed = train(digits, resume=run.path, settings={"training.epochs": 2}, accept_changes=True).run
    assert resumed.metrics["test"]["accuracy"] > before - 0.01
    on = prepared(digits, start=str(run.path))
    assert [type(layer).__name__ for layer in on.model.layers].count("Rescaling") == 1
    assert not [note for note in on.notes if "pixels" in note]


def reading(right: int, loss: float) -> RangeScore:
    return RangeScore(np.arange(1000) < right, loss)


@pytest.mark.parametrize(
    ("case", "measured", "told", "chosen"),
    [
        ("trained briefly for 0-1, raw pixels sharpen", {"0-1": (958, 0.135), "0-255": (967, 0.518)}, None, "0-1"),
        ("trained for 0-1 until all are right", {"0-1": (1000, 0.005), "0-255": (1000, 0.0)}, None, "0-1"),
        ("for 0-255, but any scale gives the same answers", {"0-1": (980, 2.1), "0-255": (981, 0.06)}, None, "0-255"),
        ("for -1-1", {"0-1": (904, 0.3), "-1-1": (1000, 0.01), "standardised": (998, 0.02)}, None, "-1-1"),
        ("the first layers have a word", {"0-1": (958, 0.135), "0-255": (960, 0.13)}, "0-1", "0-1"),
        ("unless it is clearly wrong", {"0-1": (990, 0.05), "0-255": (400, 3.0)}, "0-255", "0-1"),
    ],
)
def test_accuracy_and_loss_decide_together(
    case: str, measured: dict[str, tuple[int, float]], told: str | None, chosen: str
):
    """Neither a sharper answer nor a few more right ones take a model from the range that it was trained in."""
    worst = {name: reading(100, 9.0) for name in RANGES}
    assert _chosen(worst | {name: reading(*one) for name, one in measured.items()}, told)[0] == chosen, case


def test_the_user_decides(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """A range that is asked for is used, and a warning says where the model reads another significantly better."""
    keras_model("-1-1", trained["-1-1"]).save(tmp_path / "theirs.keras")
    path = str(tmp_path / "theirs.keras")
    against = prepared(digits, start=path, input_range="0-255")
    assert against.recipe.model.input_range == "0-255"
    assert "pixel_range" not in [layer.name for layer in against.model.layers]
    first, second = against.notes
    assert first == "The model gets pixels in 0-255, as `model.input_range` says."
    assert second.startswith("Warning: it reads ")
    assert second.endswith("). `model.input_range='-1-1'` fits better.")
    assert len(prepared(digits, start=path, input_range="-1-1").notes) == 1


def test_a_recipe_names_the_range(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """What is found goes into the recipe, which as YAML begins with the same model again."""
    keras_model("standardised", trained["standardised"]).save(tmp_path / "theirs.keras")
    first = prepared(digits, start=str(tmp_path / "theirs.keras"))
    (tmp_path / "recipe.yaml").write_text(first.recipe.dump(), encoding="utf-8")
    recipe = Recipe.read(tmp_path / "recipe.yaml")
    assert recipe.model.input_range == "standardised"
    again = prepare(digits, recipe, {}, {}, trust=False, verbose=0)
    assert again.recipe.dump() == first.recipe.dump()
    assert again.model.get_layer("pixel_range").get_config() == first.model.get_layer("pixel_range").get_config()


def test_a_model_that_rescales_is_left_alone(digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """Where rescaling is inside already, none is added, and the note says what was found."""
    keras_model("0-1", trained["0-1"], SHAPE, layers.Rescaling(1 / 255)).save(tmp_path / "theirs.keras")
    ready = prepared(digits, start=str(tmp_path / "theirs.keras"))
    assert ready.recipe.model.input_range == "0-255"
    assert [type(layer).__name__ for layer in ready.model.layers].count("Rescaling") == 1
    assert not [note for note in ready.notes if "Rescaling is now" in note]


def test_a_model_of_whole_numbers_gets_pixels(digits: Dataset, tmp_path: Path):
    """An input of `uint8` takes pixels as they are, without channels too."""
    head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input((8, 8), dtype="uint8"), layers.Rescaling(1 / 255), *head]).save(tmp_path / "m.keras")
    ready = prepared(digits, start=str(tmp_path / "m.keras"))
    assert ready.model.input_shape == (None, 8, 8, 1)
    assert ready.notes == ()


def test_a_normalization_of_another_range_is_read(digits: Dataset, known: dict[str, Scaling], tmp_path: Path):
    """A `Normalization` that was adapted to x / 255 says so, though the weights behind it are fresh."""
    normalization = layers.Normalization()
    normalization.adapt(known["0-1"](np.asarray(digits.train.images)))
    head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    keras.Sequential([keras.Input(SHAPE), normalization, *head]).save(tmp_path / "theirs.keras")
    ready = prepared(digits, model=str(tmp_path / "theirs.keras"))
    assert ready.recipe.model.input_range == "0-1"
    assert ready.notes[0].startswith("The model's first layers expect pixels in 0-1.")
    against = prepared(digits, model=str(tmp_path / "theirs.keras"), input_range="0-255")
    assert against.notes[1] == (
        "Warning: its first layers expect pixels in 0-1. `model.input_range='0-1'` fits better."
    )


@pytest.mark.parametrize("how", ["fresh", "untrained", "other classes", "other labels", "wider"])
def test_what_nothing_tells_is_assumed_and_said(how: str, digits: Dataset, trained: dict[str, Any], tmp_path: Path):
    """Fresh weights, or other classes: 0-1, as tutorials have it, is assumed, and the note says how to change that."""
    weights = [np.zeros_like(array) for array in trained["-1-1"]] if how == "untrained" else trained["-1-1"]
    keras_model("-1-1", weights).save(tmp_path / "theirs.keras")
    train_split, names = digits.train, digits.class_names
    if how == "other classes":
        train_split, names = train_split.take(np.flatnonzero(train_split.labels < 3)), names[:3]
    if how == "other labels":
        train_split = Split(train_split.images, np.random.default_rng(0).permutation(train_split.labels))
    dataset = Dataset("mine", names, train_split)
    settings = {"model.width": 2.0} if how == "wider" else {}
    named = {"model" if how in {"fresh", "wider"} else "start": str(tmp_path / "theirs.keras")}
    ready = prepare(dataset, None, settings, named, trust=False, verbose=0)
    assert ready.recipe.model.input_range == "0-1"
    (told,) = [note for note in ready.notes if "0-1 is assumed" in note]
    assert "`model.input_range='0-255'`, '-1-1' or 'standardised' changes that" in told
    assert ready.model.get_layer("pixel_range").scale == pytest.approx(1 / 255)


def test_a_function_that_divides_is_read(bars: Dataset, tmp_path: Path):
    """A function's model with x / 255 inside gets pixels as they are."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import keras\ndef net(input_shape, classes):\n    pixels = keras.Input(input_shape)\n"
        "    return keras.Model(pixels, keras.layers.Dense(classes, activation='softmax')("
        "keras.layers.Flatten()(pixels / 255.0)))\n"
    )
    ready = prepared(bars, model=f"{path}:net")
    assert ready.recipe.model.input_range == "0-255"
    assert ready.notes == ("The model's first layers expect pixels in 0-255.",)


def test_only_models_of_ones_own_have_a_range(bars: Dataset):
    """Eyespot's own architectures begin with raw pixels, so a range for them is refused, and an unknown one anyway."""
    with pytest.raises(ModelError, match=r"model\.input_range goes with a model of your own; mlp"):
        prepared(bars, model="mlp", input_range="0-1")
    with pytest.raises(RecipeError, match="input_range` must be 'auto', '0-255', '0-1', '-1-1' or 'standardised'"):
        prepared(bars, input_range="0-2")


@pytest.mark.usefixtures("few_digits")
def test_the_option(trained: dict[str, Any], here: Path, eyespot: Callable[..., Answer]):
    """`--input-range` takes a range that begins with a minus, and a recipe file the same."""
    keras_model("-1-1", trained["-1-1"]).save(here / "theirs.keras")
    first = eyespot(
        "train", "digits", "--from", "theirs.keras", "--epochs", 1, "--input-range", "-1-1", "--output", "a"
    )
    assert first.code == 0, first.err
    assert "The model gets pixels in -1-1, as --input-range says." in first.out
    assert open_run("a").recipe.model.input_range == "-1-1"
    assert dict([parse_setting("model.input_range=-1-1")]) == {"model.input_range": "-1-1"}
