import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eyespot import reproduce
from eyespot.data.catalog import CATALOG, CatalogEntry
from eyespot.data.dataset import Dataset
from eyespot.errors import EyespotError, InterruptedRun, RunError
from eyespot.training.fit import fit
from eyespot.workflow import train
from eyespot.workflow.reproduce import Reproduction

SHORT = {"training.epochs": 2, "training.batch_size": 30, "model.width": 0.1}
PAIR = ["fashion-cnn", "fashion-cnn-dropout"]


THIRD = "mnist-mlp-no-dropout"


@pytest.fixture(scope="module")
def small(bars: Dataset) -> Iterator[None]:
    """The bars under the names of the real sets."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("mnist", "fashion-mnist"):
            named = Dataset(name, bars.class_names, bars.train, test=bars.test)
            patched.setitem(CATALOG, name, CatalogEntry(name, partial(replace, named), (8, 8, 1), 3))
        yield


@pytest.fixture(scope="module")
def finished(small: None, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """A study that nothing interrupted; tests read it, or go on with a copy."""
    return run(tmp_path_factory.mktemp("finished"), [*PAIR, THIRD])


@pytest.fixture
def begun(finished: Reproduction, tmp_path: Path) -> Path:
    """A folder with a copy of the finished study."""
    shutil.copytree(finished.path, tmp_path / "study")
    return tmp_path


def run(tmp_path: Path, names: list[str], repeats: int = 1, **settings: Any) -> Reproduction:
    return reproduce(names, repeats, tmp_path / "study", settings=SHORT | settings, verbose=0)


@pytest.mark.draws("dropout.png")
def test_a_study_has_its_tables_pages_and_pictures(begun: Path):
    """Every figure is judged, and everything the tutorials show is drawn or written."""
    done = run(begun, [*PAIR, THIRD])  # trains nothing; the picture is drawn
    told = json.loads(json.dumps(done.to_dict()))
    assert [one["name"] for one in told["experiments"]] == [*PAIR, THIRD]
    figures = {one["figure"]: one for one in told["experiments"][1]["figures"]}
    assert figures["test_accuracy"]["published"] == 0.923
    assert figures["parameters"]["judgement"] == "differs"  # three classes of 8x8
    assert figures["verdict"]["published"] == "good fit"
    page = (begun / "study" / "README.md").read_text(encoding="utf-8")
    assert "dropout layers removed" in page
    assert "9,230" in page
    assert (begun / "study" / "dropout.png").stat().st_size > 10_000
    for name in PAIR:
        own = (begun / "study" / name / "README.md").read_text(encoding="utf-8")
        assert all(word in own for word in ("Conv2D", "precision", "slanting"))
        drawn = {path.name for path in (begun / "study" / name / f"{name}-seed-0" / "figures").iterdir()}
        linked = {line.rpartition("/")[2].rstrip(")") for line in own.splitlines() if line.startswith("![")}
        assert linked <= drawn
        assert {"samples.png", "pixels.png", "predictions.png", "curves.png"} <= linked


def test_what_is_finished_is_not_done_again(begun: Path, monkeypatch: pytest.MonkeyPatch):
    """A second call trains what is missing alone: here the second repeat, and a training that was cut off."""
    (begun / "study" / "mnist-cnn-small" / "mnist-cnn-small-seed-0").mkdir(parents=True)
    trained: list[str] = []

    def counted(program: Any, dataset: Any, recipe: Any, *rest: Any) -> Any:
        trained.append(f"{program.model.name} {recipe.seed}")
        return fit(program, dataset, recipe, *rest)

    monkeypatch.setattr(train, "fit", counted)
    done = run(begun, [THIRD, "mnist-cnn-small"], repeats=2)
    assert trained == [f"{THIRD} 1", "mnist-cnn-small 0", "mnist-cnn-small 1"]
    for experiment in done.experiments:
        assert [one.recipe.training.seed for one in experiment.runs] == [0, 1]
        (accuracy,) = (one.to_dict() for one in experiment.figures if one.figure == "test_accuracy")
        low, high = accuracy["range"]
        assert [low, high] == sorted(one.metrics["test"]["accuracy"] for one in experiment.runs)
        assert low <= accuracy["ours"] <= high


def test_an_interrupted_study_goes_on(finished: Reproduction, begun: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C within the third training keeps the others, and the same call then gives what it would have given."""
    shutil.rmtree(begun / "study" / THIRD)

    def stopped(program: Any, dataset: Any, recipe: Any, observers: Any, interrupted: Any, *others: Any) -> Any:
        return fit(program, dataset, recipe, observers, lambda: True)

    monkeypatch.setattr(train, "fit", stopped)
    with pytest.raises(InterruptedRun, match="same command continues"):
        run(begun, [*PAIR, THIRD])
    monkeypatch.setattr(train, "fit", fit)
    done = run(begun, [*PAIR, THIRD])
    same = ("train_loss", "test_accuracy")
    for ours, theirs in zip(done.experiments, finished.experiments, strict=True):
        assert [one.ours for one in ours.figures if one.figure in same] == [
            one.ours for one in theirs.figures if one.figure in same
        ]


def test_a_study_of_other_settings_is_not_mixed(begun: Path):
    """Finished repeats that were made with other settings are refused, before anything is trained."""
    with pytest.raises(
        RunError, match=r"differs from the requested one: training\.epochs: 2 → 3\. Choose another `output`"
    ):
        run(begun, [THIRD], **{"training.epochs": 3})


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
    with pytest.raises(RunError, match="left alone: move it away, or choose another `output`"):
        run(tmp_path, ["mnist-mlp"])
    assert path.read_text() == "mine"
