import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer

Command = Callable[..., Answer]
TINY = ("--set", "model.name=mlp", "--set", "model.width=0.02", "--set", "training.epochs=1", "--set",
        "training.batch_size=60")  # fmt: skip


@pytest.mark.usefixtures("few_digits")
def test_a_study_prints_its_table_and_what_matters(eyespot: Command, here: Path):
    """The table, a sentence, where the page is; again as one line of JSON, without training again."""
    asked = ("study", "digits", *TINY, "--change", "no dropout: model.dropout=0", "--repeats", 1)
    first = eyespot(*asked)
    assert first.code == 0
    for part in ("variant", "no dropout", "One repeat cannot tell", "studies/digits/README.md"):
        assert part in first.out
    again = eyespot(*asked, "--json")
    assert len(again.out.splitlines()) == 1
    told = json.loads(again.out)
    assert [one["name"] for one in told["variants"]] == ["base", "no dropout"]
    assert told["variants"][1]["runs"] == ["studies/digits/no-dropout/no-dropout-seed-0"]
    assert "done before" in again.err


@pytest.mark.usefixtures("few_digits")
def test_a_search_prints_its_candidates_and_its_recipe_trains(eyespot: Command, here: Path):
    """The candidates, the sentence and the next command, which works as it is printed."""
    done = eyespot("tune", "digits", *TINY, "--trials", 2)
    assert done.code == 0
    for part in ("the recipe itself", "median validation loss", "2 trials"):
        assert part in done.out
    assert "Next: eyespot train studies/tune-digits/best.yaml" in done.out
    told = json.loads(eyespot("tune", "digits", *TINY, "--trials", 2, "--json").out)
    assert told["recipe"] == "studies/tune-digits/best.yaml"
    assert json.loads(eyespot("train", told["recipe"], "--json").out)["run"] == "runs/digits-mlp-1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("study", "digits"), "nothing to compare"),
        (("study", "digits", "--vary", "training.optimzer=adam"), "Did you mean 'training.optimizer'"),
        (("study", "digits", "--vary", "training.optimizer"), "--vary takes key=value,value"),
        (("study", "digits", "--change", "less: training.epochs"), "--change takes key=value"),
        (("study", "digts", "--vary", "training.epochs=1"), "Did you mean 'digits'"),
        (("study", "none.yaml", "--vary", "training.epochs=1"), "no recipe at none.yaml"),
        (("tune", "digts"), "Did you mean 'digits'"),
        (("tune", "--space", "none.yaml"), "none.yaml cannot be read"),
        (("tune", "--set", "split.method=none"), "leaves it none of its own"),
    ],
)
def test_a_mistake_is_one_sentence(eyespot: Command, here: Path, arguments: tuple[Any, ...], told: str):
    """A foreseeable mistake: exit code 1, one line on standard error, nothing trained."""
    answer = eyespot(*arguments)
    assert answer.code == 1
    assert told in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not list(here.rglob("*.onnx"))
