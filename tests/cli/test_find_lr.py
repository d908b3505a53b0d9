import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from eyespot.cli.optional_values import with_default
from eyespot.cli.train import training_command
from tests.conftest import Answer

Command = Callable[..., Answer]


@pytest.mark.draws
def test_find_lr_suggests_and_says_how_to_go_on(eyespot: Command, here: Path):
    """For people: the suggestion, where its curve is drawn, and the command that trains with it, which works."""
    answer = eyespot("train", "digits", "--model", "mlp", "--find-lr", "--optimizer", "sgd")
    assert answer.code == 0
    assert "Suggested learning rate: " in answer.out
    with Image.open(here / "runs/lr-digits-mlp-1/curve.png") as drawn:
        assert drawn.width > 500
    command = answer.out.partition("Next: ")[2].strip()
    assert command.startswith("eyespot train digits --model mlp --optimizer sgd --learning-rate 0.")
    trained = eyespot(*shlex.split(command)[1:], "--epochs", 2, "--json")
    assert json.loads(trained.out)["val_accuracy"] > 0.8
    assert [path.name for path in (here / "runs").iterdir() if (path / "recipe.yaml").exists()] == ["digits-mlp-1"]


@pytest.mark.usefixtures("few_digits")
def test_find_lr_json_is_one_line(eyespot: Command, here: Path):
    """Standard output holds the suggestion, the curve, the figure and the command, and nothing else."""
    answer = eyespot("train", "--model", "mlp", "--find-lr", "--output", "lr", "--json")
    told = json.loads(answer.out)
    assert set(told) == {"suggested", "curve", "figure", "command"}
    assert told["figure"] == "lr/curve.png"
    assert told["command"] == f"eyespot train --model mlp --learning-rate {told['suggested']:g}"
    assert set(told["curve"][0]) == {"learning_rate", "loss", "smoothed"}
    assert "Suggested" in answer.err


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("train a --find-lr", "eyespot train a --learning-rate 0.01"),
        ("train --learning-rate 3 a --find-lr", "eyespot train a --learning-rate 0.01"),
        ("train --find-lr --learning-rate=3 --output=x a", "eyespot train a --learning-rate 0.01"),
        ("train --find-lr --output --find-lr 'a b' --json", "eyespot train 'a b' --learning-rate 0.01"),
    ],
)
def test_the_command_is_the_same_but_for_the_rate(arguments: str, command: str):
    """What was asked stays, quoted for a shell; only the rate, the output folder and --json are left out."""
    assert training_command(shlex.split(arguments), 0.01) == command


@pytest.mark.parametrize("with_it", [("--resume", "runs/none"), ("--mlflow",)])
def test_find_lr_goes_with_no_run(eyespot: Command, here: Path, with_it: tuple[str, ...]):
    """Neither a run to resume nor a log goes with it, and that is said."""
    answer = eyespot("train", "--find-lr", *with_it)
    assert answer.code == 1
    assert "--find-lr trains nothing" in answer.err


def test_mlflow_may_stand_alone(monkeypatch: pytest.MonkeyPatch):
    """`--mlflow` takes what follows only if that is an address; else MLflow's own variable, or a file, is meant."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    alone = "--mlflow=sqlite:///mlflow.db"
    assert with_default(["train", "--mlflow"]) == ["train", alone]
    assert with_default(["train", "--mlflow", "digits", "--epochs", "3"]) == ["train", alone, "digits", "--epochs", "3"]
    for kept in (["--mlflow", "http://here:5000", "digits"], ["--mlflow=file:///x"], ["--mlflow", "databricks"], []):
        assert with_default(kept) == kept
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert with_default(["--mlflow"]) == ["--mlflow=http://there"]
