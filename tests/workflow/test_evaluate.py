"""Evaluating a run: by ONNX Runtime alone, from a cold start."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.workflow.test_runs_of_0_1 import RUNS

FRAMEWORKS = {"keras", "torch", "onnx", "numba"}
LOADED = f"import sys; print(sorted({FRAMEWORKS} & set(sys.modules)))"


def test_evaluating_imports_no_training_framework(tmp_path: Path):
    """The whole command measures a run and draws its figures without importing Keras or PyTorch."""
    run = shutil.copytree(RUNS / "finished", tmp_path / "finished")
    code = f"import sys; sys.argv = ['eyespot', 'evaluate', {str(run)!r}]\n"
    code += f"from eyespot.cli.main import main\ntry: main()\nexcept SystemExit: pass\n{LOADED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "accuracy" in done.stdout
    assert (run / "figures" / "wrong-test.png").exists()


def test_a_run_is_shown_in_a_notebook_without_a_training_framework(tmp_path: Path):
    """Opening a run and showing it in a notebook takes neither Keras nor PyTorch."""
    code = f"import eyespot; eyespot.open_run({str(RUNS / 'finished')!r})._repr_html_()\n{LOADED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["[]"]
