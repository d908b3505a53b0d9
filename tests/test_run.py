import shutil
from pathlib import Path

import numpy as np
import pytest

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.errors import RunError
from eyespot.run import Run, open_run


def test_a_run_is_named_by_its_path_or_is_open_already(tmp_path: Path):
    """A path, as text or not, is opened; a run stays the run it is; a folder without a recipe is none."""
    with pytest.raises(RunError, match=r"it has no recipe\.yaml"):
        open_run(tmp_path)
    (tmp_path / "recipe.yaml").write_text("dataset: digits\n")
    assert open_run(tmp_path).path == open_run(str(tmp_path)).path == tmp_path
    run = Run(tmp_path)
    assert open_run(run) is run


def test_a_run_predicts_and_evaluates(run: Run, bars: Dataset, tmp_path: Path):
    """Its methods give what the verbs give."""
    run = Run(shutil.copytree(run.path, tmp_path / "run"))
    images = np.asarray(bars.train.images[:3])
    assert run.predict(images, top=2) == eyespot.predict(run, images, top=2)
    other = (images, bars.train.labels[:3])
    assert run.evaluate(other).to_dict() == eyespot.evaluate(run, other).to_dict()
    assert run.evaluate((other, other)).n == 3  # of training and test data, the test data
