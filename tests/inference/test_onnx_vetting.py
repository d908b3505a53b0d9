import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from eyespot.errors import ModelError
from eyespot.inference.predictor import Predictor
from tests.inference.hostile import HOSTILE, WEIGHTS, external, honest

PIXELS = np.random.default_rng(0).integers(0, 4, (3, 2, 2, 1)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a model lies; a secret lies beside it."""
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def write(name: str, folder: Path) -> Path:
    path = folder / "hostile.onnx"
    path.write_bytes(HOSTILE[name][0](folder, folder.parent / "secret.bin"))
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str, folder: Path, capfd: pytest.CaptureFixture[str]):
    """Each is refused in one sentence that says why, and nothing else is printed."""
    path = write(name, folder)
    with pytest.raises(ModelError) as refused:
        Predictor(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert re.search(HOSTILE[name][1], str(refused.value)), refused.value
    assert capfd.readouterr() == ("", "")


def expected() -> np.ndarray:
    powers = np.exp(PIXELS.reshape(3, 4).astype(np.float32) @ WEIGHTS)
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_honest_file_is_opened(folder: Path):
    """A control: what the hostile files are made from predicts."""
    (folder / "m.onnx").write_bytes(honest().SerializeToString())
    assert Predictor(folder / "m.onnx").probabilities(PIXELS) == pytest.approx(expected(), abs=1e-6)


def test_data_in_its_own_folder_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Weights may lie in a file beside the model, from wherever eyespot was started."""
    (folder / "weights.bin").write_bytes(WEIGHTS.tobytes())
    (folder / "m.onnx").write_bytes(honest(external("weights.bin")).SerializeToString())
    monkeypatch.chdir(folder.parent)
    assert Predictor(Path("models/m.onnx")).probabilities(PIXELS) == pytest.approx(expected(), abs=1e-6)


def test_the_runtime_would_have_opened_them(folder: Path):
    """A control: left to itself, ONNX Runtime opens its own format, and runs what is no picture classifier."""
    for name in ("runtime format", "another domain", "operators of its own", "endless loop"):
        onnxruntime.InferenceSession(write(name, folder).read_bytes(), providers=["CPUExecutionProvider"])
