import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import eyespot


def test_every_public_name_can_be_had():
    """Every name in `__all__` is importable, and `dir` lists no other."""
    assert sorted(eyespot.__all__) == dir(eyespot)
    assert all(getattr(eyespot, name) is not None for name in eyespot.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """A name that is not public fails as Python users expect."""
    with pytest.raises(AttributeError, match="nonsense"):
        eyespot.nonsense  # type: ignore[attr-defined]  # noqa: B018 - the access is what is tested


def test_what_the_security_policy_names_is_there():
    """Every file and folder that SECURITY.md names exists."""
    root = Path(__file__).parent.parent
    paths = re.findall(r"`((?:eyespot|tests|docs)/[^`]*)`", (root / "SECURITY.md").read_text(encoding="utf-8"))
    assert paths
    assert [path for path in paths if not (root / path).exists()] == []


def test_import_is_light():
    """`import eyespot` loads none of the heavy libraries."""
    heavy = {"keras", "torch", "numpy", "sklearn", "matplotlib", "onnxruntime", "pydantic", "typer"}
    loaded = _modules_after("import eyespot")
    assert "eyespot" in loaded
    assert not heavy & loaded


def test_the_command_line_loads_nothing_heavy_before_a_verb_runs():
    """`eyespot --help` starts without Keras, PyTorch, scikit-learn and Matplotlib; Pydantic alone takes 0.1 s."""
    heavy = {"keras", "torch", "sklearn", "matplotlib", "numpy", "pydantic", "fastapi"}
    assert not heavy & _modules_after("import eyespot.cli.main")


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_keras_imported_after_eyespot_runs_on_pytorch():
    """`import eyespot` is enough to choose the backend, also where the user imports Keras next."""
    code = "import eyespot, keras; assert keras.config.backend() == 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": ""})


def test_nothing_is_told_to_anyone(tmp_path: Path):
    """ONNX Runtime's telemetry, which writes an identifier into the home directory before it reports, is off."""
    settings = {key: value for key, value in os.environ.items() if key not in {"CI", "ORT_DISABLE_TELEMETRY"}}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import eyespot.inference.predictor, onnxruntime"
    subprocess.run([sys.executable, "-c", code], check=True, env=settings | homes)
    assert list(tmp_path.rglob("*")) == []
