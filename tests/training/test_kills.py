import json
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.mark.parametrize("kills", [4, pytest.param(300, marks=pytest.mark.slow)])
def test_a_training_survives_kills(kills: int, tell: Callable[[str], None]):
    """SIGKILL at random moments and within saves: always resumable, and the same weights, optimizer and history.

    A control: half written checkpoints are found where a writer writes in place.
    """
    command = [sys.executable, "-m", "tests.training.kills", str(kills)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    campaigns = json.loads(done.stdout.splitlines()[-1])
    found = campaigns["atomic"]
    within, trainings = found["within_a_save"], found["trainings"]
    tell(f"{found['kills']} kills survived, {within} of them within a save, in {trainings} trainings")
    assert found["kills"] >= kills
    assert within >= kills // 4
    assert found["damaged"] == []
    assert found["digests"] == [found["alone"]]
    assert campaigns["in place"]["damaged"]
