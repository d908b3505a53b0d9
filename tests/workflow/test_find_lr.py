import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyespot import Dataset, Recipe, find_lr, open_run, train
from eyespot.errors import DivergedError, ModelError, RunError, UsageError
from eyespot.workflow.find_lr import LearningRateSuggestion

STEPS = 80  # fewer than a user's searches have, and enough on the bars
SMALL = Recipe.parse({"model": {"name": "mlp"}, "training": {"precision": "float32", "seed": 3}})


@pytest.fixture(scope="module")
def found(bars: Dataset, tmp_path_factory: pytest.TempPathFactory) -> LearningRateSuggestion:
    """A search on the bars; tests read it and do not change it."""
    return find_lr(bars, SMALL, tmp_path_factory.mktemp("found") / "lr", verbose=0, steps=STEPS)


def test_the_suggestion_trains(bars: Dataset, found: LearningRateSuggestion, tmp_path: Path):
    """Two epochs at the suggested rate end lower than at a thirtieth of it, and at thirty times as much."""
    losses = []
    for place, factor in enumerate((1, 1 / 30, 30)):
        options: dict[str, Any] = {"learning_rate": found.suggested * factor, "epochs": 2, "keep": "last"}
        done = train(bars, SMALL, tmp_path / f"r{place}", verbose=0, **options)
        losses.append(done.outcome.history.rows[-1]["val_loss"])
    assert losses[0] == min(losses)


def test_what_is_left_behind_is_no_run(bars: Dataset, found: LearningRateSuggestion):
    """The folder has the curve, drawn and as a table that says what was found, and does not pass for a run."""
    folder = found.figure.parent
    assert {path.name for path in folder.iterdir()} == {"curve.png", "curve.csv"}
    with (folder / "curve.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == found.rows()
    assert rows[0]["learning_rate"] == pytest.approx(1e-6)
    with pytest.raises(RunError, match="is not a run"):
        open_run(folder)
    with pytest.raises(RunError, match="not overwritten"):
        find_lr(bars, SMALL, folder, verbose=0)


def test_it_repeats_in_a_folder_with_the_next_number(bars: Dataset, found: LearningRateSuggestion, here: Path):
    """The same seed gives the same curve and suggestion; by default the folder is the next of a number under runs/."""
    (here / "runs" / "lr-bars-mlp-1").mkdir(parents=True)
    again = find_lr(bars, SMALL, verbose=0, steps=STEPS)
    assert str(again.figure) == "runs/lr-bars-mlp-2/curve.png"
    assert np.array_equal(found.curve.losses, again.curve.losses)
    assert found.suggested == again.suggested


def test_schedule_average_and_rate_are_left_aside(
    bars: Dataset, found: LearningRateSuggestion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A recipe's schedule changes nothing of the curve, and it is said that it is left aside."""
    settings = {"training.schedule": "cosine", "training.warmup_epochs": 1, "training.average": 0.9}
    other = find_lr(bars, SMALL, tmp_path / "b", steps=STEPS, settings=settings, learning_rate=5.0)
    assert np.array_equal(found.curve.losses, other.curve.losses)
    assert "the schedule (cosine) is left aside" in capsys.readouterr().out


def test_one_batch_is_told(bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Where all pictures are one batch, a rate is found all the same, and a note says what it holds for."""
    found = find_lr(bars, SMALL, tmp_path / "lr", batch_size=108, steps=STEPS)
    assert 1e-5 < found.suggested < 1
    assert "all 108 training images are one batch" in capsys.readouterr().out


def test_rates_that_are_too_high_are_a_sentence(bars: Dataset, tmp_path: Path):
    """Where the loss diverges at the lowest rates there is no suggestion, and no folder is left."""
    with pytest.raises(DivergedError, match=r"diverged after \d steps, where the rate is lowest"):
        find_lr(bars, SMALL, tmp_path / "lr", lowest=1e4, highest=1e9, optimizer="sgd", verbose=0)
    assert not (tmp_path / "lr").exists()


def test_rates_that_are_too_low_are_a_sentence(bars: Dataset, tmp_path: Path):
    """Where the loss falls nowhere there is no suggestion, and no folder is left."""
    with pytest.raises(ModelError, match="does not fall beyond its noise"):
        find_lr(bars, SMALL, tmp_path / "lr", lowest=1e-9, highest=1e-8, optimizer="sgd", verbose=0, steps=STEPS)
    assert not (tmp_path / "lr").exists()


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"steps": 3}])
def test_rates_must_rise(bars: Dataset, tmp_path: Path, wrong: dict):
    """Rates that do not rise from above 0, or too few, are refused."""
    with pytest.raises(UsageError, match="must rise from above 0"):
        find_lr(bars, SMALL, tmp_path / "lr", verbose=0, **wrong)
