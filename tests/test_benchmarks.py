"""Benchmarks run: each of them on tiny data, offline, with whatever peers are installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each is a process or more that import Keras; `make test-benchmarks` takes the time.
pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = [path.stem for path in sorted(FOLDER.glob("*.py")) if "__main__" in path.read_text(encoding="utf-8")]
# `training_peers.py` is started by `training.py`: a part, and no benchmark.
BENCHMARKS = [name for name in SCRIPTS if not any(name.startswith(f"{other}_") for other in SCRIPTS)]
PROCESSES = ("eyespot", "eyespot-fit", "eyespot-onnx", "keras-torch", "torch", "torch-bfloat16", "floor")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs(name: str, tmp_path: Path):
    """With `--smoke` a benchmark prints its figures, writes nothing beside itself and ends with 0."""
    before = sorted(FOLDER.rglob("*.json"))
    assert smoke(name, tmp_path).strip()
    assert sorted(FOLDER.rglob("*.json")) == before


def test_every_peer_that_needs_no_other_framework_trains(tmp_path: Path):
    """All peers on PyTorch and ONNX Runtime train and predict the same, and are in the table."""
    lines = smoke("training", tmp_path, "--peers", *PROCESSES).splitlines()
    for label in ("eyespot, auto", "eyespot's Predictor", "Keras on PyTorch", "PyTorch, bfloat16", "floor"):
        assert any(line.startswith(label) for line in lines)


def test_a_failing_peer_ends_the_benchmark(tmp_path: Path):
    """Where a peer fails, `training.py` ends with 1 and one sentence that names it."""
    code = (
        "import sys, harness, training; training.WARM_UP = (None,); "
        "sys.argv = ['training.py', '--smoke', '--peers', 'torch']; harness.run_benchmark(training.main)"
    )
    done = run(["-c", code], tmp_path, PYTHONPATH=f"{FOLDER}{os.pathsep}{FOLDER.parent}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("training.py: torch failed on mnist-mlp-one-hidden: TypeError: ")


def smoke(name: str, folder: Path, *arguments: str) -> str:
    """Run a benchmark with `--smoke` in an empty folder; return what it prints."""
    done = run([str(FOLDER / f"{name}.py"), "--smoke", *arguments], folder, PYTHONPATH=str(FOLDER.parent))
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without the data folder that this process may have, on one thread."""
    inherited = {name: value for name, value in os.environ.items() if name != "EYESPOT_DATA"}
    inherited |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # tests beside this one use the other cores
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**inherited, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
