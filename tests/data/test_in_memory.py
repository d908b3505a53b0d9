"""Images and labels that a program holds become pixels 0-255 and class names, or one clear sentence."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.data.dataset import Dataset
from eyespot.data.in_memory import as_images, in_order, label_names
from eyespot.data.load import load
from eyespot.data.picture import open_picture
from eyespot.errors import DataError, PictureError

GREYS = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5) * 4
PICTURES = [Image.fromarray(image) for image in GREYS]
LABELS = [1, 0, 1]


def content(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("images", "value_range"),
    [
        (GREYS, None),
        (GREYS.astype(np.float64), None),
        (GREYS / 255, None),
        (GREYS / 127.5 - 1, (-1, 1)),
        (GREYS.astype(np.int64) + 1000, (1000, 1255)),
        (GREYS.tolist(), None),
        (list(GREYS), None),
        (np.array([*GREYS, None], object)[:3], None),
        (PICTURES, None),
        ([content(picture) for picture in PICTURES], None),
    ],
    ids=["uint8", "0-255", "0-1", "-1-1", "other", "lists", "arrays", "objects", "pillow", "contents"],
)
def test_every_form_gives_the_same_pixels(images: Any, value_range: tuple[float, float] | None):
    """Whole numbers, fractions in any stated range, lists, Pillow images and files' contents all become uint8."""
    pixels = as_images(images, "images", value_range)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, GREYS[..., np.newaxis])


def test_paths_are_read(tmp_path: Path):
    """Paths, as text or not, are opened like any own image."""
    paths = [tmp_path / f"{row}.png" for row in range(3)]
    for path, picture in zip(paths, PICTURES, strict=True):
        picture.save(path)
    for images in (paths, [str(path) for path in paths], np.array([str(path) for path in paths])):
        assert np.array_equal(as_images(images, "images")[..., 0], GREYS)


def test_pictures_are_brought_to_the_commonest_size():
    """A list of different sizes gets the commonest, or the shape that is stated; grey where no image has colours."""
    color = Image.new("RGB", (9, 7), "red")
    assert as_images([*PICTURES, PICTURES[0].resize((9, 7))], "images").shape == (4, 4, 5, 1)
    assert as_images([*PICTURES, color], "images").shape == (4, 4, 5, 3)
    assert as_images([*PICTURES, color], "images", shape=(6, 6, 1)).shape == (4, 6, 6, 1)
    assert as_images([Image.new("L", (640, 320))], "images").shape == (1, 80, 160, 1)
    assert as_images([np.zeros((4, 5), np.uint8), np.zeros((8, 8), np.uint8)], "images").shape == (2, 4, 5, 1)


@pytest.mark.parametrize(("mode", "times"), [("L", 1), ("RGB", 1), ("RGB of a grey one", 2)])
def test_a_pillow_image_is_converted_once(mode: str, times: int, monkeypatch: pytest.MonkeyPatch):
    """Its size and kind are known without its pixels; only greys that are stored in colour are converted again."""
    pictures = [picture.convert(mode[:3]) for picture in PICTURES]
    if mode == "RGB":
        pictures[1] = Image.new("RGB", (5, 4), "red")
    calls: list[Image.Image] = []

    def counted(source: Image.Image, where: str, *, grey: bool) -> Image.Image:
        calls.append(source)
        return open_picture(source, where, grey=grey)

    monkeypatch.setattr("eyespot.data.in_memory.open_picture", counted)
    assert as_images(pictures, "images").shape == (3, 4, 5, 3 if mode == "RGB" else 1)
    assert calls == pictures * times


class Table:
    """What a table of pandas has, as far as it is looked at."""

    columns, iloc = ("path", "label"), None


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (GREYS * 2.0, "pixels go from 0 to 472; expected 0 to 255, or 0 to 1; state any other value_range"),
        (GREYS / 127.5 - 1, r"pixels go from -1 to .*value_range, as \(-1, 1\)"),
        (np.full((2, 4, 4), np.nan), "NaN or infinite"),
        (np.zeros((0, 4, 4)), "there are no images"),
        ([], "there are no images"),
        ([[[1, 2], [3]], [[1, 2], [3]]], "their rows differ in length"),
        (np.zeros((2, 4, 4), "datetime64[s]"), "expected numbers as pixels"),
        ([object(), object()], "received object|expected images"),
        (3, "expected an array or a list of images; received int"),
        (PICTURES[0], "put it into a list"),
        ("photos", "put it into a list"),
        (Table(), r"give its column, as table\['path'\]"),
    ],
)
def test_what_are_no_images_gets_one_sentence(images: Any, sentence: str):
    """Each mistake is named, and what was expected."""
    with pytest.raises(DataError, match=sentence):
        as_images(images, "images")


def test_a_stated_range_is_checked():
    """Pixels outside the stated range, and a range that is none, are refused."""
    with pytest.raises(DataError, match="expected -1 to 1, the value_range"):
        as_images(GREYS, "images", (-1, 1))
    with pytest.raises(DataError, match="the lower first"):
        as_images(GREYS, "images", (255, 0))


def test_a_damaged_picture_is_named(tmp_path: Path):
    """Its path, or its position, is in the sentence; also of a file that Pillow has opened and not yet read."""
    path = tmp_path / "cut.png"
    path.write_bytes(content(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)))[:900])
    with pytest.raises(PictureError, match=r"cut\.png"):
        as_images([path], "images")
    with pytest.raises(PictureError, match="image 1"):
        as_images([PICTURES[0], b"noise"], "images")
    with Image.open(path) as opened, pytest.raises(PictureError, match="image 0 is truncated"):
        as_images([opened], "images")


def test_a_photograph_is_turned_upright():
    """The EXIF orientation of a Pillow image counts, as that of a file does."""
    sideways = Image.new("L", (9, 4))
    sideways.getexif()[0x0112] = 6
    assert as_images([sideways], "images").shape == (1, 9, 4, 1)


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([1, 0], None, ["1", "0"]),
        (np.array([1.0, 0.0]), ("cat", "dog"), ["dog", "cat"]),
        (["dog", "cat"], None, ["dog", "cat"]),
        ([b"dog", b"cat"], None, ["dog", "cat"]),
        (np.array(["dog", "cat"], object), None, ["dog", "cat"]),
        (np.array([b"dog", None], object), None, ["dog", None]),
        (np.array([1, None], object), ("cat", "dog"), ["dog", None]),
        (np.array(["dog", float("nan")], object), None, ["dog", None]),
        (np.eye(3)[[2, 0]], None, ["2", "0"]),
        ([[1], [0]], None, ["1", "0"]),
        ([True, False], None, ["1", "0"]),
    ],
)
def test_labels_come_in_every_usual_form(labels: Any, names: tuple[str, ...] | None, expected: list[str | None]):
    """Numbers, text, bytes, objects as tables hold them, one-hot rows and columns."""
    assert label_names(labels, "labels", names) == expected


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0.5, 1], "labels must be whole numbers; received 0.5"),
        (np.array(["a", 1], object), "of one type, whole numbers or text; received int and str"),
        (np.zeros((2, 2, 2)), r"received labels of shape \[2, 2, 2\]"),
        ([0, 7], "labels go from 0 to 7, for 2 names"),
    ],
)
def test_labels_that_are_none_get_one_sentence(labels: Any, sentence: str):
    """Fractions, mixtures, too many axes and numbers without a name are refused."""
    with pytest.raises(DataError, match=sentence):
        label_names(labels, "labels", ("cat", "dog"))


def test_categories_of_pandas_are_labels():
    """A column of categories, and one of text, are labels."""
    pandas = pytest.importorskip("pandas")
    for column in (pandas.Series(["b", "a"], dtype="category"), pandas.Series(["b", "a"], dtype="string")):
        assert label_names(column, "labels", None) == ["b", "a"]


def test_class_names_are_in_order():
    """Whole numbers by value, all else as text."""
    assert in_order(["10", "9", "9"]) == ("9", "10")
    assert in_order(["10", "9", "a"]) == ("10", "9", "a")


def test_a_dataset_is_made_of_arrays():
    """Splits, class names and the name are as stated; images of a later split get the size of the training images."""
    other = [picture.resize((8, 8)) for picture in PICTURES]
    dataset = Dataset.from_arrays(
        GREYS, LABELS, test=(other, ["dog", "cat", "dog"]), class_names=("cat", "dog"), name="pets"
    )
    assert (dataset.name, dataset.class_names, dataset.input_shape) == ("pets", ("cat", "dog"), (4, 5, 1))
    assert dataset.test is not None
    assert dataset.test.images.shape == (3, 4, 5, 1)
    assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == LABELS
    assert Dataset.from_arrays(GREYS, [7, 3, 7]).class_names == ("3", "7")


def test_arrays_are_a_source():
    """`load` takes (images, labels), and both splits as keras.datasets gives them."""
    assert load((GREYS, LABELS)).test is None
    both = load(((GREYS, LABELS), (GREYS, LABELS)))
    assert both.test is not None
    assert np.array_equal(both.test.images, both.train.images)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ((GREYS, LABELS, LABELS), r"Arrays come as \(images, labels\); received a tuple of 3"),
        ((GREYS, [1, 0]), "There are 3 train images, but 2 labels"),
        ((GREYS, ["a", None, "b"]), "The train image 1 has no label"),
        (((GREYS, ["a", "b", "a"]), (GREYS,)), r"The test split comes as \(images, labels\)"),
    ],
)
def test_arrays_that_do_not_fit_get_one_sentence(source: Any, sentence: str):
    """A wrong number of parts, of labels, or a missing label is named."""
    with pytest.raises(DataError, match=sentence):
        load(source)


def test_an_unknown_class_is_named():
    """A test label that is none of the class names is refused."""
    with pytest.raises(DataError, match="The test label 'bird' is none of the class names"):
        Dataset.from_arrays(GREYS, LABELS, test=(GREYS, ["bird", "cat", "cat"]), class_names=("cat", "dog"))
