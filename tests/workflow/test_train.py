import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax

from eyespot import Dataset, Recipe, Run, Split, open_run, train
from eyespot.backend import keras
from eyespot.errors import DataError, DivergedError, ModelError, RecipeError, RunError, UsageError
from eyespot.models.architectures import build
from eyespot.workflow.evaluate import evaluate
from tests.conftest import make_split

FILES = {
    "recipe.yaml", "environment.json", "history.csv", "model.keras", "model.onnx", "model-card.md",
    "weights.weights.h5", "metrics.json", "predictions.parquet", "log", "figures", "images", "checkpoints",
    "tensorboard", "mistakes-test.csv", "mistakes-validation.csv",
}  # fmt: skip

OWN_LAYER = """
import keras
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
def net(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape, dtype="uint8"), keras.layers.Rescaling(1 / 255), Twice(),
                             keras.layers.Flatten(), keras.layers.Dense(classes, activation="softmax")])
"""


def recipe(**parts: dict) -> Recipe:
    return Recipe.parse({"model": {"name": "mlp"}, **parts})


def test_options_change_the_recipe(bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The command line's options are keywords, progress is printed and logged, and `verbose=0` silences it."""
    run = train(bars, output=tmp_path / "a", model="mlp", epochs=1, split="last").run
    assert (run.recipe.model.name, run.recipe.training.epochs, run.recipe.split.method) == ("mlp", 1, "last")
    printed = capsys.readouterr().out
    assert "Test: accuracy" in printed
    assert "Test: accuracy" in (run.path / "log").read_text()
    train(bars, run.recipe, tmp_path / "b", verbose=0)
    assert capsys.readouterr().out == ""
    with pytest.raises(RecipeError, match="Did you mean 'epochs'"):
        train(bars, epoch=3)  # type: ignore[call-arg]  # the mistake


def test_a_run_on_arrays_asks_for_them(run: Run, tmp_path: Path):
    """Arrays are not kept in a run: it is evaluated by its predictions, and where these are gone too, it says so."""
    own = Run(shutil.copytree(run.path, tmp_path / "run"))
    own.file("predictions.parquet").unlink()
    with pytest.raises(DataError, match="trained on arrays"):
        evaluate(own)


def test_a_run_is_whole(run: Run):
    """Every file of a run is there, nothing else, and nothing is pickled."""
    assert {path.name for path in run.path.iterdir()} == FILES
    drawn = {path.name for path in (run.path / "figures").iterdir()}
    kinds = [f"{kind}-{split}.png" for kind in ("confusion", "right", "wrong") for split in ("validation", "test")]
    assert drawn == {"curves.png", *kinds}
    assert not [path for path in run.path.rglob("*") if path.suffix in {".pkl", ".pickle", ".pt", ".npy"}]


def test_a_run_says_what_was_done(run: Run, bars: Dataset):
    """Recipe, environment, history and metrics read back as what was asked for and found."""
    assert run.recipe.model.name == "mlp"
    assert run.recipe.training.batch_size == 32
    assert run.environment["packages"]["keras"]
    assert run.environment["dataset_sha256"] == bars.fingerprint
    assert run.history.column("epoch") == list(range(1, len(run.history) + 1))
    assert run.metrics["verdict"]["sentence"]
    assert set(run.metrics["test"]["report"]["classes"]) == set(bars.class_names)
    assert "epoch 1/8" in (run.path / "log").read_text()


def test_the_model_learnt(run: Run):
    """The bars are told apart: far better than guessing, with an interval that says so."""
    assert run.metrics["test"]["accuracy_interval"][0] > 1 / 3


def test_predictions_are_those_of_the_metrics(run: Run, bars: Dataset):
    """The table has a row a picture, and its share of right ones is the accuracy in the metrics."""
    table = pq.read_table(run.path / "predictions.parquet").to_pylist()
    for split in ("validation", "test"):
        rows = [row for row in table if row["split"] == split]
        right = sum(row["label"] == row["predict"] for row in rows)
        assert (right, len(rows)) == (run.metrics[split]["correct"], run.metrics[split]["n"])
    assert sum(table[0]["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_plain_keras_opens_the_model_and_agrees(run: Run, bars: Dataset, tmp_path: Path):
    """`keras.saving.load_model`, without eyespot, predicts the same to 1e-5; `model.onnx`'s logits agree to 1e-4."""
    assert bars.test is not None
    np.save(tmp_path / "x.npy", bars.test.images)
    code = f"""
import keras, numpy as np, sys
model = keras.saving.load_model({str(run.path / "model.keras")!r})
np.save({str(tmp_path / "y.npy")!r}, model.predict(np.load({str(tmp_path / "x.npy")!r}), verbose=0))
assert "eyespot" not in sys.modules
"""
    plain = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, "-c", code], check=True, env=plain)
    theirs = np.load(tmp_path / "y.npy")
    assert run.model().predict(bars.test.images, verbose=0) == pytest.approx(theirs, abs=1e-5)
    logits, _ = run.predictor().logits_and_probabilities(bars.test.images)  # probabilities are calibrated
    assert softmax(logits, axis=1) == pytest.approx(theirs, abs=1e-4)


def test_weights_alone_go_into_a_rebuilt_network(run: Run, bars: Dataset):
    """`weights.weights.h5`, loaded into the architecture built again, makes the same model."""
    assert bars.test is not None
    rebuilt = build(run.recipe.model.name or "", bars.input_shape, bars.classes, seed=99)
    rebuilt.load_weights(run.path / "weights.weights.h5")
    expected = run.model().predict(bars.test.images, verbose=0)
    assert rebuilt.predict(bars.test.images, verbose=0) == pytest.approx(expected, abs=1e-6)


def test_the_model_is_the_best_epochs(run: Run):
    """The validation figures are those the history has for the epoch of the lowest validation loss."""
    row = min(run.history.rows, key=lambda row: row["val_loss"])
    assert run.metrics["validation"]["loss"] == pytest.approx(row["val_loss"], rel=1e-4)
    assert run.metrics["validation"]["accuracy"] == pytest.approx(row["val_accuracy"])


def test_a_recipe_repeats_a_run(run: Run, bars: Dataset, tmp_path: Path):
    """Trained again from its own recipe, a run has the same history and the same weights, bit for bit."""
    again = train(bars, run.recipe, tmp_path / "again").run
    assert again.history.column("val_loss") == run.history.column("val_loss")
    for ours, theirs in zip(again.model().get_weights(), run.model().get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_run_repeats_its_augmentation(bars: Dataset, tmp_path: Path):
    """Trained again from its own recipe, where `auto` is a policy with its values, it ends the same."""
    asked = recipe(augmentation={"policy": "auto", "cutmix": 0.5}, training={"epochs": 1, "class_weights": "balanced"})
    first = train(bars, asked, tmp_path / "first").run
    assert first.recipe.augmentation.policy in {"digits", "objects"}
    assert first.recipe.augmentation.cutmix == 0.5
    again = train(bars, first.recipe, tmp_path / "again").run
    assert again.recipe.augmentation == first.recipe.augmentation
    plain = train(bars, recipe(training={"epochs": 1}), tmp_path / "plain").run
    weights, same, others = (run.model().get_weights() for run in (first, again, plain))
    assert all(np.array_equal(a, b) for a, b in zip(weights, same, strict=True))
    assert not np.array_equal(weights[0], others[0])
    saved = json.loads(zipfile.ZipFile(first.path / "model.keras").read("config.json"))
    assert saved["compile_config"]["loss"] == "sparse_categorical_crossentropy"


def test_without_validation_or_test_data(bars: Dataset, tmp_path: Path):
    """All pictures can be trained on: figures that cannot be had are None, and the verdict says so."""
    alone = Dataset("alone", bars.class_names, bars.train)
    done = train(alone, recipe(split={"method": "none"}, training={"epochs": 1}), tmp_path / "r")
    assert done.to_dict()["val_accuracy"] is None
    assert done.to_dict()["test_accuracy"] is None
    assert done.verdict.fit == "not judged"
    assert done.outcome.kept_epoch == 1


def test_runs_are_numbered_and_never_overwritten(bars: Dataset, here: Path):
    """By default the next free number is taken; a directory that exists is refused."""
    short = recipe(training={"epochs": 1})
    (here / "runs" / "bars-mlp-1").mkdir(parents=True)
    assert str(train(bars, short).run.path) == "runs/bars-mlp-2"
    with pytest.raises(RunError, match="never overwritten"):
        train(bars, short, "runs/bars-mlp-1")


def test_continuing_from_a_run(run: Run, bars: Dataset, tmp_path: Path):
    """`from` a run starts where it ended; with other classes only the head is new, and frozen, the rest stays."""
    short = {"epochs": 1, "learning_rate": 1e-9}
    same = train(bars, recipe(model={"from": str(run.path)}, training=short), tmp_path / "same")
    assert same.test is not None
    assert same.test.accuracy == run.metrics["test"]["accuracy"]
    pictures = make_split(20, seed=7)
    two = Dataset("two", ("lying", "other"), Split(pictures.images, (pictures.labels > 0).astype(np.int64)))
    other = train(two, recipe(model={"from": str(run.path), "freeze": True}, training={"epochs": 1}), tmp_path / "o")
    before, after = run.model(), other.run.model()
    assert after.output_shape == (None, 2)
    for layer in before.layers[:-1]:
        for ours, theirs in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(ours, theirs)


def test_freezing_needs_trained_weights(bars: Dataset, tmp_path: Path):
    """Freezing a fresh network would keep random weights, and is refused before anything is written."""
    with pytest.raises(ModelError, match="fresh random weights"):
        train(bars, recipe(model={"freeze": True}), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_divergence_at_once_leaves_recipe_and_log(bars: Dataset, tmp_path: Path):
    """When the first epoch already fails, the step is named, a lower rate suggested, and no model pretended."""
    wild = recipe(training={"optimizer": "sgd", "learning_rate": 1e30})
    with pytest.raises(DivergedError, match=r"step \d+ of epoch 1.*such as 0\.001"):
        train(bars, wild, tmp_path / "r")
    assert open_run(tmp_path / "r").metrics["verdict"]["fit"] == "diverged"
    assert "became NaN" in (tmp_path / "r" / "log").read_text()
    with pytest.raises(RunError, match=r"has no model\.onnx: its training did not finish"):
        open_run(tmp_path / "r").predictor()


def test_a_half_run_says_how_to_go_on(run: Run, tmp_path: Path):
    """A run whose process was killed names the command that continues it."""
    half = tmp_path / "half"
    half.mkdir()
    (half / "recipe.yaml").write_text(run.recipe.dump())
    with pytest.raises(RunError, match=r"no metrics\.json.*`train\(resume='"):
        _ = open_run(half).metrics


@pytest.mark.parametrize(("name", "told"), [("none", "There is no run at"), ("empty", r"has no recipe\.yaml")])
def test_what_is_no_run_is_told(tmp_path: Path, name: str, told: str):
    """A missing directory and one that is something else are told apart."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=told):
        open_run(tmp_path / name)


def test_a_damaged_json_is_told(run: Run, tmp_path: Path):
    """A file that is no JSON is named."""
    (tmp_path / "recipe.yaml").write_text(run.recipe.dump())
    (tmp_path / "metrics.json").write_text('{"verdict": ')
    with pytest.raises(RunError, match=r"metrics\.json is damaged"):
        _ = open_run(tmp_path).metrics


def test_evaluating_again_finds_the_same(run: Run, bars: Dataset, tmp_path: Path):
    """`evaluate` on the same pictures finds what training found; on other pictures it keeps its own files."""
    assert bars.test is not None
    other = Dataset("other", bars.class_names, make_split(5, 9))
    own = Run(shutil.copytree(run.path, tmp_path / "own"))
    found = evaluate(own, on=other)
    assert found.n == 15
    assert {path.name for path in (own.path / "evaluations" / "other").iterdir()} == {
        "metrics.json", "predictions.parquet", "mistakes-train.csv", "figures"
    }  # fmt: skip
    assert all(path.exists() for path in found.figures)


def test_a_damaged_table_is_written_afresh(run: Run, bars: Dataset, tmp_path: Path):
    """A predictions table that broke off does not keep a run from being evaluated again."""
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    table = copy / "evaluations" / "bars" / "predictions.parquet"
    for _ in range(2):
        assert evaluate(copy, bars).correct == run.metrics["test"]["correct"]
        assert pq.read_table(table).num_rows == 30
        table.write_bytes(b"P")


def test_a_run_that_continues_names_no_other_model(run: Run, bars: Dataset, tmp_path: Path):
    """A model's name beside a run to start from is refused; the recipe of the new run names none."""
    with pytest.raises(RecipeError, match="keeps its architecture"):
        train(bars, start=str(run.path), model="cnn")
    continued = train(bars, start=str(run.path), epochs=1, output=tmp_path / "r").run
    assert continued.recipe.model.name is None
    assert json.loads(json.dumps(continued.recipe.model_dump()))["model"]["name"] is None


def test_the_saved_optimizer_starts_afresh(run: Run):
    """The model is compiled, but carries no optimizer state of another epoch than its weights'."""
    model = run.path / "model.keras"
    assert model.stat().st_size < 1.5 * (run.path / "weights.weights.h5").stat().st_size


def test_the_engine_steps_aside(bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A model that the engine cannot run is trained by Keras, with the reason; so is any where Keras is asked for."""
    path = tmp_path / "mine.py"
    path.write_text(OWN_LAYER.replace('activation="softmax"', 'activation="softmax", kernel_regularizer="l2"'))
    train(bars, model=f"{path}:net", epochs=1, output=tmp_path / "a")
    assert "Keras runs this model, not the engine" in capsys.readouterr().out
    train(bars, model="mlp", epochs=1, engine="keras", output=tmp_path / "b")
    assert "The engine runs" not in capsys.readouterr().out


def test_layers_of_ones_own_are_noted(bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A model with a layer Keras does not have is trained, and it is said which file will need its code.

    What runs the model, in which dtype, and which layers run as they are, is printed and logged.
    """
    path = tmp_path / "mine.py"
    path.write_text(OWN_LAYER)
    run = train(bars, model=f"{path}:net", epochs=1, precision="float32", output=tmp_path / "r").run
    printed = capsys.readouterr().out
    assert "will not open without the code of Twice" in printed
    assert "The engine runs this model in float32, but Keras runs twice" in printed
    assert "in float32" in (run.path / "log").read_text()
    assert run.predictor().class_names == bars.class_names


@keras.saving.register_keras_serializable("eyespot-tests")
class Halved(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs / 2


def test_a_model_with_foreign_classes_needs_trust(bars: Dataset, tmp_path: Path):
    """A `.keras` file that names a class which is not Keras's own is refused, unless the user vouches for it."""
    model = keras.Sequential([keras.Input((8, 8, 1)), Halved(), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.save(tmp_path / "own.keras")
    options: dict[str, Any] = {"model": str(tmp_path / "own.keras"), "epochs": 1, "verbose": 0}
    with pytest.raises(ModelError, match=r"'Halved'.*pass `trust=True`"):
        train(bars, output=tmp_path / "r", **options)
    assert not (tmp_path / "r").exists()
    assert train(bars, output=tmp_path / "r", trust=True, **options).test is not None


def test_a_setting_that_the_dataset_leaves_without_effect_is_refused(bars: Dataset, tmp_path: Path):
    """A share to validate on, where validation images are given; in a recipe's own default it is no mistake."""
    given = replace(bars, validation=bars.test)
    with pytest.raises(UsageError, match=r"`split\.fraction` has no effect with `split\.method='given'`"):
        train(given, output=tmp_path / "a", model="mlp", fraction=0.2)
    with pytest.raises(UsageError, match=r"`pictures\.size` is for images of your own, and bars is not"):
        train(bars, output=tmp_path / "a", model="mlp", settings={"pictures.size": 14})
    assert not (tmp_path / "a").exists()
