"""predict on photographs of what the training images show: the whole way from the camera to the answer."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from eyespot.data.dataset import Dataset, Split
from eyespot.data.picture import read_picture
from eyespot.errors import ModelError
from eyespot.inference.metadata import METADATA_KEY
from eyespot.inference.predictor import Predictor
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.workflow.train import train
from tests.conftest import Answer
from tests.preprocessing.scenes import digit_picture, digit_pictures, paper, photo, written

Command = Callable[..., Answer]
NAMES = tuple("0123456789")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A network that has learnt printed digits, white on black and centred, thicker and thinner ones too."""
    pictures = digit_pictures().astype(np.float32)
    generator = np.random.default_rng(0)
    varied = np.clip(pictures * generator.uniform(0.7, 1.6, (len(pictures), 1, 1, 1)), 0, 255).astype(np.uint8)
    data = Dataset("printed digits", NAMES, Split(varied, np.arange(len(varied)) % 10))
    recipe = Recipe.parse(
        {"model": {"name": "mlp"}, "training": {"epochs": 12, "batch_size": 10, "precision": "float32"}}
    )
    return train(data, recipe, tmp_path_factory.mktemp("photographs") / "digits").run


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A photograph of a 7, small and off centre."""
    path = tmp_path / "seven.jpg"
    photo(written(paper(light="gradient"), 7, 110, (270, 380))).save(path)
    return path


@pytest.mark.parametrize("digit", range(10))
def test_photographed_digits_are_read(reader: Run, tmp_path: Path, digit: int):
    """Each digit on paper is read right; only resized, as --as-is does, hardly any would be."""
    path = tmp_path / "digit.jpg"
    photo(written(paper(light="shadow"), digit, 110, (270, 80))).save(path)
    (told,) = reader.predictor().predict([path])
    assert told.label == str(digit)
    assert told.note is None
    assert told.box is not None


def test_only_resized_they_are_not(reader: Run, tmp_path: Path):
    """What the steps are good for."""
    right = 0
    for digit in range(10):
        path = tmp_path / f"{digit}.jpg"
        photo(written(paper(light="shadow"), digit, 110, (270, 80))).save(path)
        (told,) = reader.predictor().predict([path], as_is=True)
        right += told.label == str(digit)
        assert told.box is None
    assert right <= 3


def test_training_pictures_are_answered_as_their_pixels_are(reader: Run, tmp_path: Path):
    """A PNG of a training image gives exactly what the array gives."""
    for digit in range(10):
        path = tmp_path / f"{digit}.png"
        Image.fromarray(digit_picture(digit)[..., 0]).save(path)
        expected = reader.predictor().probabilities(digit_picture(digit)[None])[0].max()
        (told,) = reader.predictor().predict([path])
        assert told.probability == float(expected)


@pytest.mark.draws
def test_predict_shows_the_steps(eyespot: Command, reader: Run, page: Path):
    """--show draws each picture's steps, names the file, and never writes over an earlier one."""
    first, second = (eyespot("predict", reader.path, page, "--show", "--json") for _ in range(2))
    (told,) = json.loads(first.out)
    assert told["label"] == "7"
    assert told["box"][0] == pytest.approx(380, abs=8)
    paths = [Path(answer.err.removeprefix("Steps: ").strip()) for answer in (first, second)]
    assert [path.name for path in paths] == ["seven-steps.png", "seven-steps-2.png"]
    for path in paths:
        with Image.open(path) as drawn:
            assert min(drawn.size) > 300


def test_predict_reads_each(eyespot: Command, reader: Run, tmp_path: Path):
    """Without --each a sentence says that there are several; with it they have a line each, and where they are."""
    path = tmp_path / "row.png"
    sheet = paper()
    for digit, left in ((4, 60), (0, 260), (7, 460)):
        sheet = written(sheet, digit, 100, (150, left))
    photo(sheet).save(path)
    one = eyespot("predict", reader.path, path, "--json")
    assert len(json.loads(one.out)) == 1
    assert json.loads(one.out)[0]["note"].replace("`each`", "--each") in one.err
    assert "3 objects are on it" in one.err
    told = json.loads(eyespot("predict", reader.path, path, "--each", "--json").out)
    assert [entry["label"] for entry in told] == ["4", "0", "7"]
    rows = list(csv.DictReader(io.StringIO(eyespot("predict", reader.path, path, "--each", "--csv").out)))
    assert [row["label"] for row in rows] == ["4", "0", "7"]
    assert [int(row["left"]) for row in rows] == [entry["box"][0] for entry in told]
    table = eyespot("predict", reader.path, path, "--each").out
    assert f"{told[1]['box'][0]}, {told[1]['box'][1]}" in table


def test_predict_as_is(eyespot: Command, reader: Run, page: Path):
    """--as-is gives what the resized picture gives."""
    (told,) = json.loads(eyespot("predict", reader.path, page, "--as-is", "--json").out)
    pixels = read_picture(page, (28, 28, 1), resize="pad")
    assert told["probability"] == pytest.approx(float(reader.predictor().probabilities(pixels[None]).max()), abs=1e-6)
    assert "box" not in told


def test_a_blank_page_is_said(eyespot: Command, reader: Run, tmp_path: Path):
    """Nothing to read is no error, but a sentence."""
    photo(paper()).save(tmp_path / "blank.jpg")
    answer = eyespot("predict", reader.path, tmp_path / "blank.jpg")
    assert answer.code == 0
    assert "No object was found on it" in answer.err


def changed(reader: Run, path: Path, **values: Any) -> Path:
    """The reader's model with other metadata."""
    model = onnx.load(reader.file("model.onnx"))
    told = {entry.key: entry.value for entry in model.metadata_props}
    metadata = json.loads(told[METADATA_KEY]) | values
    onnx.helper.set_model_props(model, told | {METADATA_KEY: json.dumps(metadata)})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
def test_pictures_are_resized_as_training_did(reader: Run, page: Path, tmp_path: Path, resize: Any):
    """The model's file says how."""
    predictor = Predictor(changed(reader, tmp_path / "model.onnx", resize=resize))
    (told,) = predictor.predict([page], as_is=True)
    pixels = read_picture(page, (28, 28, 1), resize=resize)
    assert told.probability == pytest.approx(float(predictor.probabilities(pixels[None]).max()), abs=1e-6)


def test_an_older_file_says_neither(reader: Run, page: Path, tmp_path: Path):
    """Before there was a choice, pictures were squashed, and photographs not looked into."""
    path = changed(reader, tmp_path / "model.onnx", resize="lanczos, to exactly this size", appearance=None)
    predictor = Predictor(path)
    assert predictor.resize == "squash"
    (told,) = predictor.predict([page])
    pixels = read_picture(page, (28, 28, 1), resize="squash")
    assert told.probability == pytest.approx(float(predictor.probabilities(pixels[None]).max()), abs=1e-6)


@pytest.mark.parametrize("looks", [1, [], {"plain": True}, "plain"])
def test_a_damaged_appearance_is_refused(reader: Run, tmp_path: Path, looks: Any):
    """One sentence, as for any damage."""
    with pytest.raises(ModelError, match="has damaged metadata"):
        Predictor(changed(reader, tmp_path / "model.onnx", appearance=looks))
