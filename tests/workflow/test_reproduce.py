import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eyespot import reproduce
from eyespot.data.catalog import CATALOG, CatalogEntry
from eyespot.data.dataset import Dataset
from eyespot.errors import EyespotError, InterruptedRun, RunError
from eyespot.training.fit import fit
from eyespot.workflow import train

SHORT = {"training.epochs": 2, "training.batch_size": 30, "model.width": 0.1}
PAIR = ["fashion-cnn", "fashion-cnn-dropout"]


@pytest.fixture
def small(bars: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bars under the names of the real sets."""
    for name in ("mnist", "fashion-mnist"):
        named = Dataset(name, bars.class_names, bars.train, test=bars.test)
        monkeypatch.setitem(CATALOG, name, CatalogEntry(name, partial(replace, named), (8, 8, 1), 3))


def run(tmp_path: Path, names: list[str], repeats: int = 1, **settings: Any) -> Any:
    return reproduce(names, repeats, tmp_path / "study", settings=SHORT | settings, console=Console(quiet=True))


@pytest.mark.draws("dropout.png")
@pytest.mark.usefixtures("small")
def test_a_study_has_its_tables_pages_and_pictures(tmp_path: Path):
    """Every figure is judged, and everything the tutorials show is drawn or written."""
    done = run(tmp_path, [*PAIR, "mnist-mlp-no-dropout"], repeats=2)
    told = json.loads(json.dumps(done.to_dict()))
    assert [one["name"] for one in told["experiments"]] == [*PAIR, "mnist-mlp-no-dropout"]
    figures = {one["figure"]: one for one in told["experiments"][1]["figures"]}
    assert figures["test_accuracy"]["published"] == 0.923
    low, high = figures["test_accuracy"]["range"]
    assert low <= figures["test_accuracy"]["ours"] <= high
    assert figures["parameters"]["judgement"] == "differs"  # three classes of 8x8
    assert figures["verdict"]["published"] == "good fit"
    page = (tmp_path / "study" / "README.md").read_text(encoding="utf-8")
    assert "dropout layers removed" in page
    assert "9,230" in page
    assert (tmp_path / "study" / "dropout.png").stat().st_size > 10_000
    for name in PAIR:
        own = (tmp_path / "study" / name / "README.md").read_text(encoding="utf-8")
        assert all(word in own for word in ("Conv2D", "precision", "slanting"))
        drawn = {path.name for path in (tmp_path / "study" / name / f"{name}-seed-0" / "figures").iterdir()}
        linked = {line.rpartition("/")[2].rstrip(")") for line in own.splitlines() if line.startswith("![")}
        assert linked <= drawn
        assert {"samples.png", "pixels.png", "predictions.png", "curves.png"} <= linked
    seeds = [one.recipe.training.seed for one in done.experiments[0].runs]
    assert seeds == [0, 1]


@pytest.mark.usefixtures("small")
def test_what_is_finished_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A second call trains what is missing alone: here the second repeat, and a training that was cut off."""
    run(tmp_path, ["mnist-mlp-one-hidden"])
    (tmp_path / "study" / "mnist-cnn-small" / "mnist-cnn-small-seed-0").mkdir(parents=True)
    trained: list[str] = []

    def counted(program: Any, dataset: Any, recipe: Any, *rest: Any) -> Any:
        trained.append(f"{program.model.name} {recipe.seed}")
        return fit(program, dataset, recipe, *rest)

    monkeypatch.setattr(train, "fit", counted)
    done = run(tmp_path, ["mnist-mlp-one-hidden", "mnist-cnn-small"], repeats=2)
    assert trained == ["mnist-mlp-one-hidden 1", "mnist-cnn-small 0", "mnist-cnn-small 1"]
    assert [len(one.runs) for one in done.experiments] == [2, 2]


@pytest.mark.usefixtures("small")
def test_an_interrupted_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C within the second training keeps the first, and the same call then gives what it would have given."""
    whole = reproduce(
        ["mnist-mlp", "mnist-mlp-sgd"], 1, tmp_path / "whole", settings=SHORT, console=Console(quiet=True)
    )

    def stopped(program: Any, dataset: Any, recipe: Any, observers: Any, interrupted: Any, *others: Any) -> Any:
        asks = (lambda: True) if recipe.optimizer == "sgd" else interrupted
        return fit(program, dataset, recipe, observers, asks)

    monkeypatch.setattr(train, "fit", stopped)
    with pytest.raises(InterruptedRun, match="same command goes on"):
        run(tmp_path, ["mnist-mlp", "mnist-mlp-sgd"])
    monkeypatch.setattr(train, "fit", fit)
    done = run(tmp_path, ["mnist-mlp", "mnist-mlp-sgd"])
    same = ("train_loss", "test_accuracy")
    for ours, theirs in zip(done.experiments, whole.experiments, strict=True):
        assert [one.ours for one in ours.figures if one.figure in same] == [
            one.ours for one in theirs.figures if one.figure in same
        ]


@pytest.mark.usefixtures("small")
def test_a_study_of_other_settings_is_not_mixed(tmp_path: Path):
    """Finished repeats that were made with other settings are refused, before anything is trained."""
    run(tmp_path, ["mnist-mlp"])
    with pytest.raises(RunError, match=r"was made otherwise than is asked for now: training\.epochs: 2 → 3"):
        run(tmp_path, ["mnist-mlp"], **{"training.epochs": 3})


def test_a_name_that_is_none_is_told(tmp_path: Path):
    """An unknown experiment is one sentence, with the nearest."""
    with pytest.raises(EyespotError, match="Did you mean 'mnist-mlp-sgd'"):
        run(tmp_path, ["mnist-mlp-sdg"])
    assert not (tmp_path / "study").exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["README.md", "mnist-mlp/README.md", "mnist-mlp/mnist-mlp-seed-0/photo.jpg"])
def test_a_persons_files_are_left_alone(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A page of theirs, or a folder in a repeat's place, is refused before anything is trained."""
    path = tmp_path / "study" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    monkeypatch.setattr(train, "fit", None)
    with pytest.raises(RunError, match="left alone: move it away, or choose another --output"):
        run(tmp_path, ["mnist-mlp"])
    assert path.read_text() == "mine"
