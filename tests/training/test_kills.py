import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest


def campaign(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.training.kills", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("kills", [4, pytest.param(300, marks=pytest.mark.slow)])
def test_a_training_survives_kills(kills: int, tell: Callable[[str], None]):
    """SIGKILL at random moments and within saves: always resumable, and the same weights, optimizer and history."""
    found = campaign(kills)
    within, trainings = found["within_a_save"], found["trainings"]
    tell(f"{found['kills']} kills survived, {within} of them within a save, in {trainings} trainings")
    assert found["kills"] >= kills
    assert within >= kills // 4
    assert found["damaged"] == []
    assert found["digests"] == [found["alone"]]


def test_the_kills_catch_a_writer_that_writes_in_place():
    """A control: half written checkpoints are found."""
    assert campaign(4, "in-place")["damaged"]
