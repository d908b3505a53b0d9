"""The lessons are read by people, and must run."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from eyespot.data.load import load
from tests.conftest import digits_are

LESSONS = sorted((Path(__file__).parent.parent / "docs" / "lessons").glob("*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every cell runs after the ones before it, on some of the embedded digits, briefly."""
    digits = load("digits")
    assert digits.test is not None
    some = replace(digits, train=digits.train.take(np.arange(400)), test=digits.test.take(np.arange(60)))
    monkeypatch.setenv("EYESPOT_LESSONS", "short")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {"__name__": "__main__"}
    with digits_are(some):
        for number, cell in enumerate(cells):
            if cell["cell_type"] == "code":
                source = compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")
                exec(source, names)  # noqa: S102 - our own notebook


def test_lessons_hold_no_outputs():
    """What a cell shows is made by running it; a stored output would grow old."""
    for path in LESSONS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells), path.name
