from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyespot.data.formats.arrays import as_images_and_labels, read_arrays
from eyespot.errors import DataError
from eyespot.recipe.data_recipe import PicturesRecipe

IMAGES = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
LABELS = np.array([1, 0, 1, 2])


@pytest.mark.parametrize(
    ("images", "labels"),
    [("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("X", "y"), ("data", "target")],
)
def test_usual_names_are_known(tmp_path: Path, images: str, labels: str):
    """Keras's, MedMNIST's and other usual names of arrays are told apart."""
    parts: dict[str, Any] = {images: IMAGES, labels: LABELS}
    np.savez(tmp_path / "a.npz", **parts)
    read = read_arrays(tmp_path / "a.npz", PicturesRecipe())
    assert list(read) == ["train"]
    assert np.array_equal(read["train"].images[..., 0], IMAGES)
    assert read["train"].labels == ["1", "0", "1", "2"]


def test_splits_are_in_the_names(tmp_path: Path):
    """x_train with y_train, x_val with y_val, x_test with y_test."""
    parts: dict[str, Any] = {
        f"{kind}_{split}": part for split in ("train", "val", "test") for kind, part in (("x", IMAGES), ("y", LABELS))
    }
    np.savez(tmp_path / "a.npz", **parts)
    assert set(read_arrays(tmp_path / "a.npz", PicturesRecipe())) == {"train", "validation", "test"}


def test_names_may_be_stated(tmp_path: Path):
    """Names that say nothing are stated; a wrong one gets the nearest; none at all is told."""
    np.savez(tmp_path / "a.npz", foo=IMAGES, bar=LABELS)
    with pytest.raises(DataError, match="x_train"):
        read_arrays(tmp_path / "a.npz", PicturesRecipe())
    stated = PicturesRecipe(image_column="foo", label_column="bar")
    assert len(read_arrays(tmp_path / "a.npz", stated)["train"].images) == 4
    with pytest.raises(DataError, match="no array named 'baz'"):
        read_arrays(tmp_path / "a.npz", PicturesRecipe(image_column="foo", label_column="baz"))


def test_npy_files_are_mapped(tmp_path: Path):
    """A folder of .npy files, or one of them, is not read into memory."""
    np.save(tmp_path / "x_train.npy", IMAGES[..., np.newaxis])
    np.save(tmp_path / "y_train.npy", LABELS)
    for source in (tmp_path, tmp_path / "x_train.npy"):
        assert isinstance(read_arrays(source, PicturesRecipe())["train"].images, np.memmap)


def test_python_objects_are_not_opened(tmp_path: Path):
    """An array of objects is a pickle, which may run code: refused."""
    np.savez(tmp_path / "a.npz", x=np.array([{}, None], dtype=object), y=LABELS)
    with pytest.raises(DataError, match="Python objects"):
        read_arrays(tmp_path / "a.npz", PicturesRecipe())
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"b\.npz is not a file of arrays"):
        read_arrays(tmp_path / "b.npz", PicturesRecipe())


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (np.zeros((3, 4, 5)), (3, 4, 5, 1)),
        (np.zeros((3, 4, 5, 3)), (3, 4, 5, 3)),
        (np.zeros((3, 3, 8, 9)), (3, 8, 9, 3)),
        (np.zeros((3, 784)), (3, 28, 28, 1)),
        (np.zeros((3, 3072)), (3, 32, 32, 3)),
        (np.zeros((3, 4, 5, 4)), (3, 4, 5, 3)),
    ],
)
def test_every_usual_layout_is_brought_to_the_datasets(images: np.ndarray, shape: tuple[int, ...]):
    """Grey and colour, channels last or first, flat squares and transparency become [n, height, width, 1 or 3]."""
    assert as_images_and_labels(images, np.arange(3), "a").images.shape == shape


def test_fractions_are_scaled_and_whole_numbers_kept():
    """0 to 1 becomes 0 to 255, 0 to 255 stays; anything else is told."""
    whole = np.full((2, 4, 4), 200.0)
    assert as_images_and_labels(whole, np.arange(2), "a").images.max() == 200
    assert as_images_and_labels(whole / 255, np.arange(2), "a").images.max() == 200
    assert as_images_and_labels(whole > 100, np.arange(2), "a").images.max() == 255
    for wrong, told in ((whole * 2, "0 to 400|0 to 255"), (-whole, "-200"), (whole * np.nan, "NaN")):
        with pytest.raises(DataError, match=told):
            as_images_and_labels(wrong, np.arange(2), "a")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([[2], [0]]), ["2", "0"]),
        (np.eye(3)[[2, 0]], ["2", "0"]),
        (np.array([2.0, np.nan]), ["2", None]),
        (np.array(["cat", " "]), ["cat", None]),
        (np.array([b"cat", b"dog"]), ["cat", "dog"]),
    ],
)
def test_every_usual_form_of_labels_is_read(labels: np.ndarray, expected: list[str | None]):
    """A column, one-hot rows, floats with NaN for none, text and bytes all name classes."""
    assert as_images_and_labels(np.zeros((2, 4, 4), np.uint8), labels, "a").labels == expected


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (np.zeros((2, 4, 4)), np.arange(3), "2 images, but 3 labels"),
        (np.zeros((2, 4, 4)), np.array([0.5, 1]), "whole numbers; received 0.5"),
        (np.zeros((2, 4, 4)), np.zeros((2, 3, 3)), "shape"),
        (np.zeros((2, 4, 4, 7)), np.arange(2), "expected images as"),
        (np.zeros((2, 4, 4), complex), np.arange(2), "expected numbers"),
    ],
)
def test_arrays_that_are_no_labelled_pictures_are_told(images: np.ndarray, labels: np.ndarray, told: str):
    """Lengths, shapes and types that do not fit get one sentence each."""
    with pytest.raises(DataError, match=told):
        as_images_and_labels(images, labels, "a")
