import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyespot import Dataset, Recipe, Run, open_run, train
from eyespot.errors import RunError
from eyespot.files import TEMPORARY
from eyespot.training.fit import StepProgress, fit
from eyespot.training.history import EpochFigures
from eyespot.workflow import train as train_module
from tests.conftest import Answer, write_pictures

SHORT = Recipe.parse({"model": {"name": "mlp"}, "training": {"epochs": 3, "batch_size": 16, "early_stopping": False}})


pytestmark = pytest.mark.usefixtures("without_figures")


class StopsAt:
    """Sends this process a signal after a step, as a user would; by default after the first."""

    def __init__(self, epoch: int | None = None, step: int | None = None, number: int = signal.SIGTERM) -> None:
        self.place, self.number = (epoch, step), number

    def on_step(self, step: StepProgress) -> None:
        if self.place in {(step.epoch, step.step), (None, None)}:
            os.kill(os.getpid(), self.number)

    def on_epoch(self, row: EpochFigures) -> None:
        pass


class CopiesAt(StopsAt):
    """Copies the run's folder after a step, as a kill at that moment would leave it."""

    def __init__(self, epoch: int, step: int, run: Path, copy: Path) -> None:
        super().__init__(epoch, step)
        self.run, self.copy = run, copy

    def on_step(self, step: StepProgress) -> None:
        if (step.epoch, step.step) == self.place:
            shutil.copytree(self.run, self.copy)
            for folder in (self.copy, self.copy / "checkpoints"):
                (folder / f"{TEMPORARY}half-written").touch()


def weights(path: Path) -> list[Any]:
    return open_run(path).model().get_weights()


def same_weights(one: Path, other: Path) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.fixture(scope="module")
def whole(bars: Dataset, without_figures: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing interrupted; tests read it, or change a copy."""
    return train(bars, SHORT, tmp_path_factory.mktemp("whole") / "r", verbose=0).run


@pytest.fixture(scope="module")
def interrupted(bars: Dataset, without_figures: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same recipe that was interrupted in its second epoch; tests resume copies."""
    path = tmp_path_factory.mktemp("interrupted") / "r"
    done = train(bars, SHORT, path, verbose=0, observers=[StopsAt(2, 3)])
    assert (done.outcome.ending, done.stopped_by, done.test) == ("interrupted", signal.SIGTERM, None)
    return path


@pytest.fixture
def stopped(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted run."""
    return Path(shutil.copytree(interrupted, tmp_path / "r"))


def test_a_resumed_run_is_the_uninterrupted_one(bars: Dataset, whole: Run, stopped: Path):
    """Weights and history are the same; the run holds all that a whole one does, and says that it was resumed."""
    log = (stopped / "log").read_text()
    done = train(bars, resume=stopped, verbose=0)
    assert done.outcome.ending == "completed"
    assert same_weights(stopped, whole.path)
    for column in ("loss", "val_loss", "accuracy", "val_accuracy"):
        assert done.run.history.column(column) == whole.history.column(column)
    assert done.run.metrics["test"]["confusion"] == whole.metrics["test"]["confusion"]
    assert len(open_run(stopped).environment["resumed"]) == 1
    assert (stopped / "log").read_text().startswith(log)
    assert "The training continues after 1 epochs and 3 steps" in (stopped / "log").read_text()


def test_stopped_twice_it_still_ends_the_same(bars: Dataset, whole: Run, stopped: Path):
    """A resumed training can be interrupted too."""
    again = train(bars, resume=stopped, verbose=0, observers=[StopsAt(3, 1, signal.SIGINT)])
    assert again.stopped_by == signal.SIGINT
    train(bars, resume=stopped, verbose=0)
    assert same_weights(stopped, whole.path)


def test_a_finished_run_has_nothing_to_resume(bars: Dataset, whole: Run, tmp_path: Path):
    """It says so; with more epochs it trains on, and ends as if it had had them from the beginning."""
    path = Path(shutil.copytree(whole.path, tmp_path / "r"))
    with pytest.raises(RunError, match=r"is finished \(completed after 3 epochs\)"):
        train(bars, resume=path, verbose=0)
    with pytest.raises(RunError, match=r"training\.epochs: 3 → 2"):
        train(bars, resume=path, epochs=2, verbose=0)
    longer = train(bars, resume=path, epochs=4, verbose=0)
    assert len(longer.run.history) == 4
    at_once = train(bars, SHORT.with_options({"epochs": 4}), tmp_path / "at-once", verbose=0).run
    assert same_weights(path, at_once.path)


def test_a_training_that_stopped_early_says_how_to_go_on(bars: Dataset, tmp_path: Path):
    """On labels drawn at random: why it ended, that it is no better than guessing, and what trains on."""
    noise = np.random.default_rng(0).integers(0, 3, len(bars.train))
    random = replace(bars, train=replace(bars.train, labels=noise))
    path = tmp_path / "r"
    options = {"epochs": 30, "early_stopping": True, "patience": 1, "learning_rate": 0.01}
    done = train(random, SHORT.with_options(options), path, verbose=0)
    assert done.outcome.ending == "early stopping"
    told = (path / "log").read_text()
    assert "Stopped early: validation loss had not fallen for 1 epoch " in told
    assert "Not significantly better than always predicting" in told
    assert f"`train(resume={str(path)!r}, patience=4, accept_changes=True)`" in told
    epochs = len(done.run.history)
    longer = train(random, resume=path, patience=3, accept_changes=True, verbose=0)
    assert longer.run.recipe.training.patience == 3
    assert len(open_run(path).history) > epochs
    assert "had not fallen for 3 epochs" in (path / "log").read_text()


def changed_environment(path: Path, **values: Any) -> None:
    file = path / "environment.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_what_differs_is_told_and_refused(bars: Dataset, stopped: Path):
    """Another recipe, other pictures, another version or machine: each is named, all at once."""
    packages = open_run(stopped).environment["packages"] | {"keras": "3.0.0"}
    changed_environment(stopped, packages=packages, torch_threads=99, dataset_sha256="0")
    with pytest.raises(RunError) as error:
        train(bars, resume=stopped, learning_rate=0.1, verbose=0)
    told = str(error.value)
    for difference in (
        "training.learning_rate: null → 0.1",
        "the images or labels of bars have changed",
        "keras: 3.0.0 → ",
        "torch_threads: 99 → ",
        "`accept_changes=True`",
    ):
        assert difference in told
    train(bars, resume=stopped, accept_changes=True, verbose=0)
    assert "its result differs from an uninterrupted one" in (stopped / "log").read_text()


def test_killed_before_the_first_checkpoint_it_begins_again(bars: Dataset, whole: Run, stopped: Path):
    """A run with nothing but a recipe can be resumed too."""
    shutil.rmtree(stopped / "checkpoints")
    train(bars, resume=stopped, verbose=0)
    assert same_weights(stopped, whole.path)
    assert "starts from the beginning" in (stopped / "log").read_text()


def test_auto_takes_the_latest_unfinished_one_of_the_recipe(bars: Dataset, whole: Run, interrupted: Path, here: Path):
    """Another recipe's run and a finished one are left alone; with none, a new run is begun."""
    other = shutil.copytree(interrupted, Path("runs/bars-mlp-1"))
    recipe = open_run(other).recipe.with_options({"seed": 9})
    (other / "recipe.yaml").write_text(recipe.dump(), encoding="utf-8")
    finished = shutil.copytree(whole.path, Path("runs/bars-mlp-2"))
    new = train(bars, SHORT, resume="auto", verbose=0, observers=[StopsAt(2, 3)]).run.path
    assert len({other, finished, new}) == 3
    assert train(bars, SHORT, resume="auto", verbose=0).run.path == new
    assert same_weights(new, finished)
    assert open_run(other).metrics["ending"] == "interrupted"


def test_a_run_under_way_is_left_alone(bars: Dataset, whole: Run, interrupted: Path, here: Path):
    """What another process trains cannot be resumed, and `auto` passes it over."""
    busy = open_run(shutil.copytree(interrupted, Path("runs/bars-mlp-1")))
    with busy.locked():
        with pytest.raises(RunError, match="is being trained by another process"):
            train(bars, resume=busy.path, verbose=0)
        new = train(bars, SHORT, resume="auto", verbose=0, observers=[StopsAt()]).run
    assert new.path != busy.path
    train(bars, resume=busy, verbose=0)
    assert same_weights(busy.path, whole.path)


def test_unknown_runs_are_told(eyespot: Callable[..., Answer], here: Path):
    """A run that is not there is named, before anything is read."""
    answer = eyespot("train", "--resume", "nowhere")
    assert (answer.code, "There is no run at nowhere" in answer.err) == (1, True)


def killed(folder: Path, number: int, *options: object) -> Answer:
    """Trains in a process of its own, and sends it a signal after two checkpoints; what it left, and printed."""
    command = [sys.executable, "-m", "eyespot", "train", *map(str, options)]
    before = set(folder.glob("checkpoints/step-*"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(set(folder.glob("checkpoints/step-*")) - before) < 2:
            time.sleep(0.005)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return Answer(process.returncode, out, err)


@pytest.mark.parametrize("how", ["left as by a kill", pytest.param("killed", marks=pytest.mark.slow)])
def test_the_command_that_continues(
    how: str, eyespot: Callable[..., Answer], here: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed with -9, asked to stop twice, and resumed each time as is printed: the weights of a run left alone."""
    copying = [CopiesAt(2, 7, here / "whole", here / "r")] if how == "left as by a kill" else []
    write_pictures(here / "bars")
    settings = {"model.width": 0.1, "training.batch_size": 4, "checkpoints.every_steps": 3}
    options: dict[str, Any] = {"model": "mlp", "epochs": 20, "early_stopping": False, "settings": settings}
    train("bars", output=here / "whole", verbose=0, observers=copying, **options)
    if how == "killed":
        changes = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        asked = ("bars", "--model", "mlp", "--epochs", 20, "--no-early-stopping", *changes)
        assert killed(here / "r", signal.SIGKILL, *asked, "--output", "r").code == -signal.SIGKILL
    answer = killed(here / "r", signal.SIGINT, "--resume", "r")
    assert answer.code == 130, answer.err
    assert "the test data was not used" in answer.err
    assert "Run: r" in answer.out
    assert "test" not in json.loads((here / "r" / "metrics.json").read_text())
    assert open_run("r").predictor().class_names == ("lying", "slanting", "standing")
    assert not list((here / "r").rglob(".tmp*"))

    def stopped(program: Any, dataset: Any, recipe: Any, observers: Any, *rest: Any) -> Any:
        return fit(program, dataset, recipe, (*observers, StopsAt()), *rest)

    with monkeypatch.context() as patched:
        patched.setattr(train_module, "fit", stopped)
        answer = eyespot("train", "--resume", "r")
    assert answer.code == 143
    assert "eyespot train --resume r" in answer.err
    resumed = eyespot("train", "--resume", "r")
    assert resumed.code == 0, resumed.err
    assert same_weights(here / "r", here / "whole")
    assert not list((here / "r").rglob(".tmp-*"))


def test_what_a_person_wrote_into_a_run_stays(bars: Dataset, whole: Run, tmp_path: Path):
    """A recipe's comments are left as they are; a model card that was changed stops the call before it begins."""
    run = Run(shutil.copytree(whole.path, tmp_path / "r"))
    text = "# mine\n" + (run.path / "recipe.yaml").read_text(encoding="utf-8")
    (run.path / "recipe.yaml").write_text(text, encoding="utf-8")
    run.write_json("metrics.json", run.metrics | {"ending": "interrupted"})
    train(bars, resume=run.path, verbose=0)
    assert (run.path / "recipe.yaml").read_text(encoding="utf-8") == text
    (run.path / "model-card.md").write_text("mine")
    run.write_json("metrics.json", run.metrics | {"ending": "interrupted"})
    before = (run.path / "model.keras").read_bytes()
    with pytest.raises(RunError, match=r"model-card\.md is not by eyespot, or has been changed"):
        train(bars, resume=run.path, verbose=0)
    assert (run.path / "model-card.md").read_text() == "mine"
    assert (run.path / "model.keras").read_bytes() == before
