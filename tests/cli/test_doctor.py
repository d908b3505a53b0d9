import json
from collections.abc import Callable
from pathlib import Path
from shutil import copy

import pytest

from eyespot import Run, train
from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine import hardware
from eyespot.recipe.schema import Recipe
from eyespot.workflow import doctor
from tests.conftest import Answer

Command = Callable[..., Answer]


def test_doctor_names_what_runs_each_layer(eyespot: Command, run: Run):
    """Layers in order with what runs them; their parameters add up to the model's; optimizer and precision."""
    told = json.loads(eyespot("doctor", run.path, "--json").out)
    model = run.model()
    assert told["engine"] == "eyespot"
    assert told["reason"] is None
    assert told["left_to_keras"] == []
    assert sum(part["parameters"] for part in told["parts"]) == model.count_params()
    named = " + ".join(part["layer"] for part in told["parts"])
    places = [named.index(layer.name) for layer in model.layers]
    assert places == sorted(places)
    assert told["optimizer"] == {"name": "adam", "how": "fused"}
    assert told["precision"] == {"dtype": "float32", "reason": "the recipe asks for it"}
    out = eyespot("doctor", run.path).out
    for part in (
        "parameters",
        "matrix product",
        "Engine: eyespot.",
        "adam, fused",
        "Precision: float32, because the recipe",
    ):
        assert part in out


def test_doctor_says_why_kernels_are_not_fused(eyespot: Command, run: Run, monkeypatch: pytest.MonkeyPatch):
    """Where Numba is missing, the reason and the remedy are told."""
    monkeypatch.setattr(doctor, "why_unavailable", lambda _: None)
    assert "No fused kernels" not in eyespot("doctor", run.path).out
    monkeypatch.setattr(doctor, "why_unavailable", lambda _: "Numba is not installed")
    assert "No fused kernels, which makes training slower: Numba is not installed." in eyespot("doctor", run.path).out
    assert json.loads(eyespot("doctor", run.path, "--json").out)["unfused"] == "Numba is not installed"


def edited(run: Run, folder: Path, **training: object) -> Path:
    """A run with the same model and another recipe."""
    folder.mkdir()
    copy(run.file("model.keras"), folder / "model.keras")
    values = run.recipe.model_dump(by_alias=True)
    values["training"] |= training
    (folder / "recipe.yaml").write_text(Recipe.parse(values).dump())
    return folder


@pytest.mark.parametrize("native", ["AMX", None])
def test_precision_is_explained(
    eyespot: Command, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: str | None
):
    """`auto` follows the processor, and says so; a recipe that asks for Keras gets it."""
    monkeypatch.setattr(hardware, "_native", lambda: native)
    told = json.loads(
        eyespot("doctor", edited(run, tmp_path / "r", precision="auto", optimizer="adamax"), "--json").out
    )
    assert told["precision"]["dtype"] == ("bfloat16" if native else "float32")
    assert (native or "no native bfloat16") in told["precision"]["reason"]
    assert told["optimizer"] == {"name": "adamax", "how": "Keras"}
    by_keras = eyespot("doctor", edited(run, tmp_path / "k", engine="keras")).out
    assert "Engine: Keras, because the recipe asks for it." in by_keras
    assert "Optimizer: adam, by Keras." in by_keras


def test_layers_left_to_keras_are_named(eyespot: Command, bars: Dataset, here: Path):
    """A layer that only Keras knows is named; so is why a whole model is Keras's."""
    layers = keras.layers
    ends = {"sharpen": layers.UnitNormalization(name="sharpen"), "": layers.Dense(4, kernel_regularizer="l2")}
    for name, middle in ends.items():
        model = keras.Sequential(
            [keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten(), middle]
        )
        model.add(layers.Dense(3, activation="softmax"))
        model.save(here / "own.keras")
        output = here / f"run{name}"
        train(bars, Recipe.parse({"model": {"name": str(here / "own.keras")}, "training": {"epochs": 1}}), output)
        told = json.loads(eyespot("doctor", output, "--json").out)
        assert told["left_to_keras"] == (["sharpen"] if name else [part["layer"] for part in told["parts"]])
        assert (told["reason"] is None) == bool(name)
        assert (f"eyespot; Keras runs {name}" if name else "adds losses of its own") in eyespot("doctor", output).out


def test_a_run_without_a_model_is_one_sentence(eyespot: Command, run: Run, tmp_path: Path):
    """A training that did not finish has no model to look at."""
    folder = edited(run, tmp_path / "half")
    (folder / "model.keras").unlink()
    answer = eyespot("doctor", folder)
    assert answer.code == 1
    assert "has no model.keras" in answer.err
    assert len(answer.err.strip().splitlines()) == 1
