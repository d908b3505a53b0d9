"""Pictures that a program holds get the answers that files get."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.errors import DataError, PictureError
from eyespot.run import Run


def test_arrays_are_answered_as_the_model_answers(run: Run, bars: Dataset):
    """An array of the model's size is taken as it is: many, one, or fractions; its position is its name."""
    assert bars.test is not None
    images = np.asarray(bars.test.images[:5])
    expected = run.predictor().probabilities(images).max(axis=1)
    for pictures in (images, images / 255, images / 127.5 - 1, list(images), images[..., 0]):
        value_range = (-1, 1) if np.min(pictures) < 0 else None
        answers = eyespot.predict(run, pictures, value_range=value_range)
        assert [answer.file for answer in answers] == ["[0]", "[1]", "[2]", "[3]", "[4]"]
        assert np.allclose([answer.probability for answer in answers], expected)
    (single,) = eyespot.predict(run, images[0])
    assert single.probability == pytest.approx(expected[0])


def test_pillow_images_are_answered_as_files(run: Run, bars: Dataset, tmp_path: Path):
    """A Pillow image, its file and the file's content have one answer; an opened file keeps its name."""
    path = tmp_path / "bar.png"
    image = Image.fromarray(np.asarray(bars.train.images[0])[..., 0]).resize((40, 40))
    image.save(path)
    with Image.open(path) as opened:
        answers = eyespot.predict(run, [path, str(path), path.read_bytes(), image, opened, np.asarray(image)])
    assert [answer.file for answer in answers] == [str(path), str(path), "-", "[3]", str(path), "[5]"]
    assert len({answer.probability for answer in answers}) == 1


@pytest.mark.parametrize(
    ("pictures", "sentence"),
    [
        (np.zeros((2, 3, 4, 5, 6)), "expected images as"),
        (np.full((8, 8), np.inf), "NaN or infinite"),
        ([{"a": 1}], r"Image \[0\]: expected a path, a file's content, a Pillow image or an array"),
    ],
)
def test_what_is_no_picture_gets_one_sentence(run: Run, pictures: Any, sentence: str):
    """Arrays of other shapes, pixels that are no numbers, and other objects are refused."""
    with pytest.raises(DataError, match=sentence):
        eyespot.predict(run, pictures)


def test_a_missing_file_is_reported_and_left_out(run: Run, bars: Dataset):
    """With `on_error` the other images are answered."""
    errors: list[PictureError] = []
    answers = eyespot.predict(run, ["none.png", np.asarray(bars.train.images[0])], on_error=errors.append)
    assert [answer.file for answer in answers] == ["[1]"]
    assert "none.png" in str(errors[0])
