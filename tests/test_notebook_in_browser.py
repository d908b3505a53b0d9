"""Results in a notebook: run by Jupyter, and looked at in headless Chromium."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.run import Run
from tests.reports.pages import needs_browser, opened
from tests.reports.test_report import HOSTILE

CELLS = ["import eyespot", "training = eyespot.train('digits', model='mlp', epochs=2)\ntraining", "training.run"]


@needs_browser
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("colours", [("#ffffff", "#202020"), ("#111111", "#e8e8e8")], ids=["light", "dark"])
def test_it_fits_a_notebook_of_any_colour(
    width: int, colours: tuple[str, str], bars: Dataset, run: Run, tmp_path: Path
):
    """In a narrow or wide notebook, light or dark, nothing is wider than its cell, and letters have its colour."""
    renamed = replace(bars, class_names=HOSTILE)
    parts = [run._repr_html_(), renamed._repr_html_(), eyespot.evaluate(run)._repr_html_()]
    path = tmp_path / "cells.html"
    style = f"background:{colours[0]};color:{colours[1]}"
    page = f"<!doctype html><meta charset='utf-8'><body style='{style}'>{''.join(parts)}"
    path.write_text(page, encoding="utf-8")
    with opened(path, width) as (browser, complaints):
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        text = browser.evaluate("getComputedStyle(document.querySelector('.eyespot svg text')).fill")
        assert text == browser.evaluate("getComputedStyle(document.body).color")
        assert complaints == []


@pytest.mark.skipif(
    not (find_spec("nbconvert") and find_spec("ipykernel")),
    reason="nbconvert and ipykernel, which run a notebook, are not installed",
)
def test_a_real_notebook(tmp_path: Path):
    """A notebook that trains has a line an epoch, one display that is empty in the end, results, and no warning."""
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "b.ipynb", "a.ipynb"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "IPYTHONDIR": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=300)
    ran = nbformat.read(tmp_path / "b.ipynb", 4)
    outputs = ran.cells[1].outputs
    streams = "".join(one.text for one in outputs if one.output_type == "stream")
    displays = [one for one in outputs if one.output_type == "display_data"]
    assert streams.count("epoch 1/2 ") == streams.count("epoch 2/2 ") == 1
    assert "Warning" not in streams
    assert [one.data["text/html"] for one in displays] == [""]
    assert outputs[-1].data["text/html"].startswith("<style>")
    assert "test accuracy" in ran.cells[2].outputs[0].data["text/html"]
    (log,) = tmp_path.glob("runs/*/log")
    assert "epoch 2/2 " in log.read_text(encoding="utf-8")
