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


def test_import_changes_nothing_in_the_process():
    """`import eyespot` leaves the environment as it was, and its verbs by name alone do too."""
    code = "import os; before = dict(os.environ); import eyespot; dir(eyespot); assert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], check=True, env=_without(*BY_EYESPOT))


BY_EYESPOT = ("KERAS_BACKEND", "GOMP_SPINCOUNT", "ORT_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY")
KERAS_ON_JAX = """
import types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "jax"))
"""
WATCHED = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("KERAS_BACKEND"), os.environ.get("GOMP_SPINCOUNT"))
            raise SystemExit
sys.meta_path.insert(0, Watch())
import eyespot
eyespot.{verb}
"""


@pytest.mark.parametrize("verb", ["train", "explain", "look", "report"])
def test_pytorch_is_imported_with_its_settings(verb: str):
    """Whichever is used first, the backend is chosen and PyTorch's threads wait briefly, before it is imported."""
    code = [sys.executable, "-c", WATCHED.format(verb=verb)]
    done = subprocess.run(code, check=True, env=_without(*BY_EYESPOT), capture_output=True, text=True)
    assert done.stdout == "torch 10000\n"


@pytest.mark.parametrize(
    ("before", "backend", "sentence"),
    [
        ("pass", "jax", "KERAS_BACKEND is jax, and eyespot runs Keras on PyTorch: set KERAS_BACKEND=torch"),
        (KERAS_ON_JAX, "", "Keras is already imported with jax, and eyespot runs Keras on PyTorch: set KERAS_BACKEND"),
    ],
)
def test_another_backend_is_refused_where_keras_is_needed(before: str, backend: str, sentence: str):
    """A backend that the user has chosen stays; training says what to do, and all that needs no Keras works."""
    code = f"import sys, os\n{before}\nimport eyespot; eyespot.predict; eyespot.load; eyespot.train"
    settings = _without(*BY_EYESPOT) | {"KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=settings, capture_output=True, text=True)
    assert f"EyespotError: {sentence}" in done.stderr
    command = [sys.executable, "-m", "eyespot", "train", "digits"]
    if backend:
        done = subprocess.run(command, check=False, env=settings, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert sentence in done.stderr


def _without(*names: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in names}


def test_nothing_is_told_to_anyone(tmp_path: Path):
    """ONNX Runtime's telemetry, which writes an identifier into the home directory before it reports, is off."""
    settings = _without("CI", "ORT_DISABLE_TELEMETRY")
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import eyespot.inference.predictor, onnxruntime"
    subprocess.run([sys.executable, "-c", code], check=True, env=settings | homes)
    assert list(tmp_path.rglob("*")) == []
