"""The figures the project promises of its defaults."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Answer, needs_real_data

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(10))
def test_digits_reach_98_percent_by_default(eyespot: Callable[..., Answer], here: Path, seed: int):
    """`eyespot train` alone reaches 98 % on the test images, whatever the seed."""
    assert json.loads(eyespot("train", "--seed", seed, "--json").out)["test_accuracy"] >= 0.98


@needs_real_data
@pytest.mark.parametrize("seed", range(3))
def test_the_small_cnn_reaches_97_5_percent_in_three_epochs(
    eyespot: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    """The small tutorial network reads MNIST after three epochs, whatever the seed."""
    monkeypatch.chdir(tmp_path)
    answer = eyespot("train", "mnist", "--model", "mnist-cnn-small", "--epochs", 3, "--seed", seed, "--json")
    assert json.loads(answer.out)["test_accuracy"] >= 0.975


@pytest.mark.parametrize("seed", range(3))
def test_two_minutes_of_search_find_a_better_recipe_for_digits(eyespot: Callable[..., Answer], here: Path, seed: int):
    """`eyespot tune digits --time 120` ends with a lower median validation loss over three fresh seeds."""
    told = json.loads(eyespot("tune", "digits", "--time", 120, "--seed", seed, "--json").out)
    own, best = told["candidates"][0], min(told["candidates"], key=lambda one: one["median_val_loss"])
    assert told["found_better"]
    assert best["median_val_loss"] < own["median_val_loss"]
    assert list(best["val_losses"]) == list(own["val_losses"]) == [str(seed + 1), str(seed + 2), str(seed + 3)]
