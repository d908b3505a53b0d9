"""The server under what nobody should do to it; each campaign prints its counts, and has a control."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.malformed import find
from tests.serving.models import write_model
from tests.serving.processes import served
from tests.serving.soak import soak
from tests.serving.stops import campaign

pytestmark = pytest.mark.slow

SOAK_SECONDS = float(os.environ.get("EYESPOT_SOAK_SECONDS", "1200"))
MALFORMED = int(os.environ.get("EYESPOT_MALFORMED", "10000"))
STOPS = int(os.environ.get("EYESPOT_STOPS", "100"))
MOST_GROWTH = 8.0  # megabytes in the second half of a soak, by a line through its memory
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_model(tmp_path_factory.mktemp("m") / "digits", photographs=True, rejects=True).parent
    (made / "model-card.md").write_text("# Digits\n", encoding="utf-8")
    return made


def test_malformed_requests(folder: Path, tmp_path: Path, tell: Callable[[str], None]):
    """None of 10,000 gets a 5xx, a traceback, or no answer where one is due; good ones between them never change."""
    options = ("--body-seconds", 1, "--max-body-bytes", 200_000, "--corrections", tmp_path / "kept")
    with served(folder, tmp_path / "log", *options) as server:
        found = find(server.port, MALFORMED)
        told = found.to_dict()
        assert server.process.poll() is None
        server.process.terminate()
        assert server.process.wait(30) == 0
        faults = [line for line in server.lines() if "level" in line]
    tell(
        f"{told['sent']:,} malformed requests of {len(found.sent)} kinds: {told['statuses']}; "
        f"by reason {told['reasons']}; "
        f"{found.good} good ones between them, {found.changed} of them answered otherwise"
    )
    assert found.faults == []
    assert faults == []
    assert found.changed == 0
    assert len(found.reasons) >= 10


def test_stops_lose_nothing(folder: Path, tell: Callable[[str], None]):
    """SIGTERM under load: all that was accepted is answered, the rest refused; hardly any comes as nobody listens."""
    found = campaign(folder, STOPS)
    tell(
        f"{STOPS} stops under load, the longest of {found['longest_seconds']:.1f} s: {found['outcomes']}, "
        f"{found['lost']} lost"
    )
    outcomes = found["outcomes"]
    assert found["lost"] == 0
    assert not [name for name in outcomes if name.startswith("unexpected")]
    assert outcomes.get("unanswered", 0) <= STOPS / 10
    assert found["outcomes"]["answered"] > STOPS
    assert found["codes"] == {0: STOPS}


def test_a_kill_loses_requests(folder: Path, tell: Callable[[str], None]):
    """A control: clients of a server that is killed instead notice that they have lost something."""
    found = campaign(folder, 5, signal.SIGKILL)
    tell(f"5 kills: {found['outcomes']}")
    assert found["outcomes"]["unanswered"] > 0


def test_memory_is_flat(folder: Path, tell: Callable[[str], None]):
    """Under load for 20 minutes (EYESPOT_SOAK_SECONDS), memory does not grow in the second half."""
    found = soak(folder, SOAK_SECONDS)
    tell(_soaked("", found))
    assert found["exit"] == 0
    assert found["log"] == ""
    assert found["grown_mb"] < MOST_GROWTH


def test_a_leak_is_noticed(folder: Path, tell: Callable[[str], None]):
    """A control: a server that keeps 100,000 bytes of each answer about a picture."""
    found = soak(folder, min(60.0, SOAK_SECONDS), leaking=True)
    tell(_soaked("leaking: ", found))
    assert found["grown_mb"] > MOST_GROWTH


def _soaked(which: str, found: dict[str, object]) -> str:
    return (
        f"{which}{found['requests']:,} requests in {found['seconds']:.0f} s: from {found['half_mb']:.1f} MB at half to "
        f"{found['end_mb']:.1f} MB, {found['bytes_a_request']:.1f} bytes a request"
    )


def test_schemathesis(folder: Path, tmp_path: Path, tell: Callable[[str], None]):
    """Whatever can be made of the OpenAPI, every answer has a status, a type and a form that it describes."""
    pytest.importorskip("schemathesis", reason="needs the extra slow: make test-slow installs it")
    with served(folder, tmp_path / "log", "--corrections", tmp_path / "kept", "--body-seconds", 5) as server:
        done = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{server.port}/openapi.json",
                "--max-examples=60", "--seed=1", "--phases=examples,coverage,fuzzing", "--no-color",
            ],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
            cwd=tmp_path,
        )  # fmt: skip
        faults = [line for line in server.lines() if "level" in line]
    tell("\n".join(line for line in done.stdout.splitlines() if re.search(r"(cases?|passed|failed|Operations)", line)))
    assert done.returncode == 0, done.stdout[-5000:]
    assert faults == []
