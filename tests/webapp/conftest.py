"""A classifier of digits, served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eyespot.run import Run
from tests.webapp.browser import served


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that reads the embedded digits well, trained in some seconds."""
    from eyespot.workflow.train import train

    folder = tmp_path_factory.mktemp("digits") / "digits"
    return train("digits", output=folder, settings={"training.epochs": 8, "training.seed": 1}).run


@pytest.fixture(scope="module")
def server(digits: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; corrections are kept beside `kept`."""
    with served(digits.path, "--no-corrections") as address:
        yield address


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A dark 7 on grey paper, much larger than the model's pictures."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (420, 360), 215)
    ImageDraw.Draw(picture).line([(140, 80), (270, 78), (205, 290)], fill=40, width=18, joint="curve")
    path = tmp_path / "seven.png"
    picture.save(path)
    return path
