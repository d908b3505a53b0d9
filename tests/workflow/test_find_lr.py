import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from eyespot import Dataset, Recipe, find_lr, open_run, train
from eyespot.errors import DivergedError, ModelError, RecipeError, RunError

QUIET = Console(quiet=True)
SMALL = Recipe.parse({"model": {"name": "mlp"}, "training": {"precision": "float32", "seed": 3}})


def test_the_suggestion_trains(bars: Dataset, tmp_path: Path):
    """Two epochs at the suggested rate end lower than at a thirtieth of it, and at thirty times as much."""
    rate = find_lr(bars, SMALL, tmp_path / "lr", console=QUIET).suggested
    losses = []
    for place, factor in enumerate((1, 1 / 30, 30)):
        options: dict[str, Any] = {"learning_rate": rate * factor, "epochs": 2, "keep": "last"}
        done = train(bars, SMALL, tmp_path / f"r{place}", console=QUIET, **options)
        losses.append(done.outcome.history.rows[-1]["val_loss"])
    assert losses[0] == min(losses)


def test_what_is_left_behind_is_no_run(bars: Dataset, tmp_path: Path):
    """The folder has the curve, drawn and as a table that says what was found, and does not pass for a run."""
    found = find_lr(bars, SMALL, tmp_path / "lr", console=QUIET)
    assert {path.name for path in (tmp_path / "lr").iterdir()} == {"curve.png", "curve.csv"}
    with (tmp_path / "lr" / "curve.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == found.rows()
    assert rows[0]["learning_rate"] == pytest.approx(1e-6)
    with pytest.raises(RunError, match="is not a run"):
        open_run(tmp_path / "lr")
    with pytest.raises(RunError, match="not overwritten"):
        find_lr(bars, SMALL, tmp_path / "lr", console=QUIET)


def test_folders_are_numbered(bars: Dataset, here: Path):
    """By default each search has a folder of its own under runs/."""
    figures = [str(find_lr(bars, SMALL, console=QUIET).figure) for _ in range(2)]
    assert figures == ["runs/lr-bars-mlp-1/curve.png", "runs/lr-bars-mlp-2/curve.png"]


def test_it_repeats(bars: Dataset, tmp_path: Path):
    """The same seed gives the same curve, and with it the same suggestion."""
    first, again = (find_lr(bars, SMALL, tmp_path / name, console=QUIET) for name in "ab")
    assert np.array_equal(first.curve.losses, again.curve.losses)
    assert first.suggested == again.suggested


def test_schedule_average_and_rate_are_left_aside(bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A recipe's schedule changes nothing of the curve, and it is said that it is left aside."""
    plain = find_lr(bars, SMALL, tmp_path / "a", console=QUIET)
    settings = {"training.schedule": "cosine", "training.warmup_epochs": 1, "training.average": 0.9}
    other = find_lr(bars, SMALL, tmp_path / "b", settings=settings, learning_rate=5.0)
    assert np.array_equal(plain.curve.losses, other.curve.losses)
    assert "the schedule (cosine) is left aside" in capsys.readouterr().out


def test_one_batch_is_told(bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Where all pictures are one batch, a rate is found all the same, and a note says what it holds for."""
    found = find_lr(bars, SMALL, tmp_path / "lr", batch_size=108)
    assert 1e-5 < found.suggested < 1
    assert "all 108 training pictures are one batch" in capsys.readouterr().out


def test_rates_that_are_too_high_are_a_sentence(bars: Dataset, tmp_path: Path):
    """Where the loss diverges at the lowest rates there is no suggestion, and no folder is left."""
    with pytest.raises(DivergedError, match=r"diverged after \d steps, where the rate is lowest"):
        find_lr(bars, SMALL, tmp_path / "lr", lowest=1e4, highest=1e9, optimizer="sgd", console=QUIET)
    assert not (tmp_path / "lr").exists()


def test_rates_that_are_too_low_are_a_sentence(bars: Dataset, tmp_path: Path):
    """Where the loss falls nowhere there is no suggestion, and no folder is left."""
    with pytest.raises(ModelError, match="does not fall beyond its noise"):
        find_lr(bars, SMALL, tmp_path / "lr", lowest=1e-9, highest=1e-8, optimizer="sgd", console=QUIET)
    assert not (tmp_path / "lr").exists()


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"steps": 3}])
def test_rates_must_rise(bars: Dataset, tmp_path: Path, wrong: dict):
    """Rates that do not rise from above 0, or too few, are refused."""
    with pytest.raises(RecipeError, match="must rise from above 0"):
        find_lr(bars, SMALL, tmp_path / "lr", console=QUIET, **wrong)
