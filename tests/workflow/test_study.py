import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eyespot import Run, study
from eyespot.data.dataset import Dataset
from eyespot.errors import EyespotError, InterruptedRun, RecipeError, RunError
from eyespot.training.fit import fit
from eyespot.workflow import train as train_module
from eyespot.workflow.study import Study

QUICK = {"model.name": "mlp", "model.width": 0.05, "training.epochs": 1, "training.precision": "float32"}
DROPOUT = {"no dropout": {"model.dropout": 0}}
GRID = {"training.optimizer": ["adam", "sgd"]}
WRITTEN = ["README.md", "study.json", "accuracy.png"]


pytestmark = pytest.mark.usefixtures("without_figures")


def counting(told: list[str]) -> Callable[..., Any]:
    """`fit`, which takes down optimizer and seed of each training, in their order."""

    def counted(program: Any, dataset: Any, recipe: Any, *rest: Any) -> Any:
        told.append(f"{recipe.optimizer} {recipe.seed}")
        return fit(program, dataset, recipe, *rest)

    return counted


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was trained."""
    told: list[str] = []
    monkeypatch.setattr(train_module, "fit", counting(told))
    return told


def run(bars: Dataset, folder: Path, **asked: Any) -> Study:
    settings = QUICK | asked.pop("settings", {})
    return study(bars, output=folder / "s", settings=settings, verbose=0, **asked)


@dataclass(frozen=True)
class FinishedStudy:
    """A folder with a study, its result, and what was trained for it."""

    folder: Path
    done: Study
    trained: list[str]


@pytest.fixture(scope="module")
def finished(bars: Dataset, without_figures: None, tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """A study that nothing interrupted; tests read it, or go on with a copy."""
    folder = tmp_path_factory.mktemp("finished")
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train_module, "fit", counting(told))
        done = run(bars, folder, changes=DROPOUT, grid=GRID, repeats=2)
    return FinishedStudy(folder, done, told)


@pytest.fixture
def begun(finished: FinishedStudy, tmp_path: Path) -> Path:
    """A folder with a copy of the finished study."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.draws("accuracy.png")
def test_every_variant_has_its_repeats_with_the_same_seeds(bars: Dataset, finished: FinishedStudy, begun: Path):
    """Base, change and grid are trained with equal seeds, compared, written as table, page and figure."""
    done, folder = finished.done, finished.folder / "s"
    assert finished.trained == ["adam 0", "adam 0", "sgd 0", "adam 1", "adam 1", "sgd 1"]
    assert [row.name for row in done.rows] == ["base", "no dropout", "optimizer=sgd"]
    assert done.notes == ("optimizer=adam is the base itself.",)
    for runs in done.runs:
        assert [one.recipe.training.seed for one in runs] == [0, 1]
    base, dropped = done.runs[0][0].recipe, done.runs[1][0].recipe
    assert base.model_copy(update={"model": dropped.model}).dump() == dropped.dump()  # they differ in nothing else
    told = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    metrics = done.runs[2][1].metrics
    assert told["variants"][2]["figures"]["val_accuracy"][1] == metrics["validation"]["accuracy"]
    assert told["variants"][2]["figures"]["test_loss"][1] == metrics["test"]["loss"]
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert all(sentence in page for sentence in done.sentences)
    assert "test_accuracy" in page
    run(bars, begun, changes=DROPOUT, grid=GRID, repeats=2)  # trains nothing; the image is drawn
    assert (begun / "s" / "accuracy.png").stat().st_size > 10_000


def test_an_interrupted_study_goes_on(
    bars: Dataset, finished: FinishedStudy, begun: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C within a training keeps those before; the same call continues that one, and none is trained twice."""
    _, (_, second), both = finished.done.runs
    for lost in (second, *both):
        shutil.rmtree(begun / lost.path.relative_to(finished.folder))
    asked: dict[str, Any] = {"changes": DROPOUT, "grid": GRID, "repeats": 2}
    started: list[tuple[str, int, bool]] = []

    def stopped(program: Any, dataset: Any, recipe: Any, observers: Any, interrupted: Any, *rest: Any) -> Any:
        started.append((recipe.optimizer, recipe.seed, rest[-1] is not None))
        return fit(program, dataset, recipe, observers, (lambda: True) if len(started) == 1 else interrupted, *rest)

    monkeypatch.setattr(train_module, "fit", stopped)
    with pytest.raises(InterruptedRun, match="same command continues") as caught:
        run(bars, begun, **asked)
    assert caught.value.exit_code == 130
    done = run(bars, begun, **asked)
    assert started == [("sgd", 0, False), ("sgd", 0, True), ("adam", 1, False), ("sgd", 1, False)]
    whole = finished.done
    assert [row.measured.figures for row in done.rows] == [row.measured.figures for row in whole.rows]
    assert done.sentences == whole.sentences


def test_more_is_added_to_what_is_there(bars: Dataset, begun: Path, trained: list[str]):
    """A later call with more repeats or variants trains those alone; one with other settings is refused first."""
    done = run(bars, begun, changes=DROPOUT | {"rmsprop": {"training.optimizer": "rmsprop"}}, repeats=1)
    assert trained == ["rmsprop 0"]
    assert done.sentences == ("One repeat cannot tell a difference from chance: repeat each training (`repeats=5`).",)
    del trained[:]
    run(bars, begun, grid=GRID, repeats=3)
    assert trained == ["adam 2", "sgd 2"]
    with pytest.raises(RunError, match=r"differs from the requested one: training\.epochs: 1 → 2\. Choose another"):
        run(bars, begun, changes=DROPOUT, repeats=2, settings={"training.epochs": 2})
    other = Dataset("bars", bars.class_names, bars.test or bars.train, test=bars.test)
    with pytest.raises(RunError, match="have changed"):
        run(other, begun, changes=DROPOUT, repeats=1, settings={"training.batch_size": 27})
    assert trained == ["adam 2", "sgd 2"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"grid": {"training.optimzer": ["sgd"]}}, "variant 'optimzer=sgd'.*Did you mean 'training.optimizer'"),
        ({"changes": {"x": {"training.batch_size": 5000}}}, "variant 'x': The batch size 5000 is larger"),
        ({"changes": {"x": {"model.name": "cn"}}}, "variant 'x': .*Did you mean 'cnn'"),
        ({"changes": {"x": {"split.method": "none"}}}, "variant 'x': a study compares on validation data"),
        (
            {"changes": {"x": {"training.patience": 1}, "y": {"training.patience": 1}}},
            "'y' is the same training as 'x'",
        ),
        ({"changes": {"x": {"training.epochs": 1}}}, "every variant is the base itself"),
    ],
)
def test_a_mistake_in_a_variant_is_told_before_anything_is_trained(
    bars: Dataset, tmp_path: Path, trained: list[str], asked: dict, told: str
):
    """Unknown keys, models that cannot be built, impossible values: one sentence that names the variant."""
    with pytest.raises(EyespotError, match=told):
        run(bars, tmp_path, repeats=1, **asked)
    assert not trained
    assert not (tmp_path / "s").exists()


def test_a_variant_that_diverges_does_not_end_the_study(bars: Dataset, begun: Path, trained: list[str]):
    """Its row says so, the others are compared, and a second call does not train it again."""
    hot = {"hot": {"training.optimizer": "sgd", "training.learning_rate": 1e30}}
    done = run(bars, begun, changes=hot | DROPOUT, repeats=1)
    assert trained == ["sgd 0"]
    assert "hot diverged in 1 of 1 repeats." in done.sentences
    assert done.rows[1].spreads["val_accuracy"] is None
    assert done.rows[2].difference is not None
    del trained[:]
    assert run(bars, begun, changes=hot | DROPOUT, repeats=1).sentences == done.sentences
    assert not trained


@pytest.mark.usefixtures("few_digits")
def test_a_studys_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its base, changes and repeats are taken; an argument given besides goes before the file's."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("model: {name: mlp, width: 0.05}\ntraining: {epochs: 1, batch_size: 60}\n")
    Path("drop.yaml").write_text("base: mine.yaml\nrepeats: 4\nchanges: [{name: none, set: {model.dropout: 0}}]\n")
    done = study("drop.yaml", repeats=1, verbose=0)
    assert str(done.path) == "studies/drop"
    assert [row.name for row in done.rows] == ["base", "none"]
    assert done.rows[0].repeats == 1


def test_validation_on_test_pictures_is_told(bars: Dataset, tmp_path: Path):
    """Where a recipe validates on the test images, the page says that its test figures are no test."""
    done = run(bars, tmp_path, changes=DROPOUT, repeats=1, settings={"split.method": "test"})
    assert "validates on the test images" in done.notes[0]
    with pytest.raises(RecipeError, match="nothing to compare"):
        run(bars, tmp_path)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_persons_files_are_not_written_over(name: str, bars: Dataset, tmp_path: Path, trained: list[str]):
    """What lies in the study's folder at the name of a page or image is refused before anything is trained."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).write_text("mine")
    with pytest.raises(RunError, match=f"{name} is not by eyespot.*move it away, or choose another `output`"):
        run(bars, tmp_path, changes=DROPOUT, repeats=1)
    assert not trained
    assert [(path.name, path.read_text()) for path in (tmp_path / "s").iterdir()] == [(name, "mine")]


def test_changed_files_are_not_written_over(bars: Dataset, begun: Path, trained: list[str]):
    """A study's own page, table and image are written again; none that somebody has changed."""
    before = (begun / "s" / "study.json").read_bytes()
    run(bars, begun, changes=DROPOUT, repeats=1)
    assert (begun / "s" / "study.json").read_bytes() != before
    for name in WRITTEN:
        path = begun / "s" / name
        before = path.read_bytes()
        path.write_text("changed")
        with pytest.raises(RunError, match=f"{name} is not by eyespot, or has been changed since"):
            run(bars, begun, changes=DROPOUT, repeats=3)
        assert path.read_text() == "changed"
        path.write_bytes(before)
    assert not trained


@pytest.mark.parametrize("kind", ["a folder", "a file", "a link", "half done by other settings", "by another version"])
def test_what_lies_at_a_repeats_place_is_never_removed(
    kind: str, bars: Dataset, finished: FinishedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Somebody's files, or a training that cannot continue as it began: refused before anything is trained."""
    place = tmp_path / "s" / "base" / "base-seed-0"
    place.parent.mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("mine")
    if kind == "a folder":
        (tmp_path / "mine").rename(place)
    elif kind == "a file":
        (tmp_path / "mine" / "photo.jpg").rename(place)
    elif kind == "a link":
        place.symlink_to(tmp_path / "mine")
    else:
        made = Run(shutil.copytree(finished.folder / "s" / "base" / "base-seed-0", place))
        made.write_json("metrics.json", made.metrics | {"ending": "interrupted"})
        if kind == "by another version":
            packages = made.environment["packages"] | {"torch": "1.0"}
            made.write_json("environment.json", made.environment | {"packages": packages})
    started: list[Any] = []
    monkeypatch.setattr(train_module, "fit", lambda *_: started.append(1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    asked = {"training.epochs": 2} if kind == "half done by other settings" else {}
    with pytest.raises(RunError, match="another `output`"):
        run(bars, tmp_path, changes=DROPOUT, repeats=1, settings=asked)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
    assert not started
