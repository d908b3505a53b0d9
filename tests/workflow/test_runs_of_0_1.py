"""Runs that eyespot 0.1 has left behind open, answer, are served and go on as they did.

They lie in `tests/runs_of_0_1`, without their figures: `finished` and `convolution`, and `interrupted`, which has the
recipe of `finished` and was stopped in its second epoch.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot import evaluate, export, load, open_run, predict, report, train
from eyespot.data.dataset import Dataset
from eyespot.serving.limits import ServerLimits
from eyespot.serving.served_models import Deployment, open_model

RUNS = Path(__file__).parents[1] / "runs_of_0_1"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy that may be written to."""
    shutil.copytree(RUNS, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.mark.parametrize("name", ["finished", "convolution"])
def test_it_says_what_it_said(name: str, copy: Path, digits: Dataset):
    """Figures on test data, through ONNX Runtime and through Keras, are those that were written down."""
    run = open_run(copy / name)
    assert len(run.history) == 3
    written = run.metrics["test"]
    again = evaluate(run)
    assert again.accuracy == pytest.approx(written["accuracy"])
    assert again.loss == pytest.approx(written["loss"], abs=1e-5)
    assert digits.test is not None
    answers = run.model().predict(digits.test.images, verbose=0).argmax(axis=1)
    assert (answers == digits.test.labels).mean() == pytest.approx(written["accuracy"])


def test_pictures_are_predicted(copy: Path, digits: Dataset):
    """A prediction names a class, and how sure the model is of it."""
    assert digits.test is not None
    Image.fromarray(digits.test.images[0, ..., 0]).save(copy / "digit.png")
    (prediction,) = predict(open_run(copy / "finished"), copy / "digit.png")
    assert prediction.label in digits.class_names
    assert 0 < prediction.probability <= 1


def test_it_is_reported_and_exported(copy: Path):
    """A report and an export can be made of it."""
    assert report(open_run(copy / "convolution")).page.stat().st_size > 10_000
    assert (export(open_run(copy / "convolution"), "onnx").folder / "model.onnx").exists()


def test_it_is_served(copy: Path):
    """The server opens its model."""
    assert open_model(Deployment("digits", copy / "finished"), ServerLimits()).current.predictor.class_names[:2] == (
        "0",
        "1",
    )


def test_an_interrupted_one_goes_on(copy: Path):
    """It ends as the training that was not interrupted did, but for the rounding of another processor."""
    resumed = train(resume=copy / "interrupted", accept_changes=True, verbose=0)
    assert resumed.outcome.ending == "completed"
    whole = open_run(copy / "finished").model().get_weights()
    for weights, expected in zip(resumed.run.model().get_weights(), whole, strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-3)
