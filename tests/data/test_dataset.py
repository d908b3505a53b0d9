import numpy as np
import pytest

from eyespot.data.dataset import Dataset, RowView, Split, choose_examples, chunks
from eyespot.errors import DataError

BASE = np.arange(5 * 2 * 2, dtype=np.uint8).reshape(5, 2, 2, 1)


def test_rows_behave_as_the_array_they_stand_for():
    """Shape, type, length, every kind of index, iteration and conversion give what a copy would."""
    rows, copy = RowView(BASE, np.array([3, 0, 3])), BASE[[3, 0, 3]]
    assert (rows.shape, rows.ndim, rows.dtype, rows.nbytes, len(rows)) == ((3, 2, 2, 1), 4, np.dtype(np.uint8), 12, 3)
    for key in (1, slice(1, None), np.array([2, 0]), np.array([True, False, True])):
        assert np.array_equal(rows[key], copy[key])
    assert np.array_equal(np.asarray(rows), copy)
    assert np.array_equal(np.stack(list(rows)), copy)
    assert np.asarray(rows, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.asarray(rows, copy=False)


def test_rows_of_rows_are_of_the_base():
    """Taking rows copies nothing."""
    taken = RowView(BASE, np.array([3, 0, 4])).take(np.array([2, 1]))
    assert taken.base is BASE
    assert taken.index.tolist() == [4, 0]


def test_chunks_are_all_rows_in_order(monkeypatch: pytest.MonkeyPatch):
    """Put together again they are the array, also where one row is more than is taken at once."""
    for at_once in (1, 8, 1000):
        monkeypatch.setattr("eyespot.data.dataset.AT_ONCE", at_once)
        assert np.array_equal(np.concatenate(list(chunks(BASE))), BASE)


def test_a_dataset_of_rows_is_the_dataset_of_their_copy():
    """The same images and labels have the same fingerprint, wherever they lie; taking rows keeps their files."""
    labels, files = np.array([0, 1, 0]), ("a", "b", "c")
    mapped = Split(RowView(BASE, np.array([1, 2, 4])), labels, files)
    copied = Split(BASE[[1, 2, 4]], labels)
    assert Dataset("x", ("p", "q"), mapped).fingerprint == Dataset("x", ("p", "q"), copied).fingerprint
    taken = mapped.take(np.array([2, 0]))
    assert isinstance(taken.images, RowView)
    assert taken.files == ("c", "a")
    assert np.array_equal(np.asarray(taken.images), copied.take(np.array([2, 0])).images)


def split(labels: list[int], side: int = 4) -> Split:
    return Split(np.zeros((len(labels), side, side, 1), np.uint8), np.array(labels, np.int64))


def test_counts_and_shapes():
    """A dataset knows its image size, its classes, and how many images each has."""
    dataset = Dataset("d", ("a", "b", "c"), split([0, 2, 2]), test=split([1]))
    assert dataset.input_shape == (4, 4, 1)
    assert dataset.class_counts(dataset.train).tolist() == [1, 0, 2]
    assert list(dataset.splits) == ["train", "test"]


def test_labels_and_pictures_must_match():
    """A label too many is refused with both numbers."""
    with pytest.raises(DataError, match="2 images, but 3 labels"):
        Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64))


def test_an_empty_split_is_refused():
    """A split without images is an error, not a division by zero later."""
    with pytest.raises(DataError, match="no images"):
        split([])


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_needs_a_class_name(label: int):
    """Labels outside the class names are refused with their range."""
    with pytest.raises(DataError, match="2 class names"):
        Dataset("d", ("a", "b"), split([0, label]))


def test_splits_share_one_size():
    """Test images of another size are refused."""
    with pytest.raises(DataError, match=r"test images are 5x5x1, the training images 4x4x1"):
        Dataset("d", ("a", "b"), split([0, 1]), test=split([1], side=5))


def test_the_fingerprint_is_the_datas():
    """Equal data has equal fingerprints; a changed pixel or label another."""
    first, second = (Dataset("d", ("a", "b"), split([0, 1])) for _ in range(2))
    other = Dataset("d", ("a", "b"), split([1, 1]))
    assert first.fingerprint == second.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int64), "received float32"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), r"in \[2, 4, 4\]"),
        (np.zeros((2, 4, 4, 2), np.uint8), np.zeros(2, np.int64), "1 or 3 channels"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.float64), "Labels must be integers"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 1), np.int64), r"in \[2, 1\]"),
    ],
)
def test_arrays_must_be_pictures_and_labels(images: np.ndarray, labels: np.ndarray, told: str):
    """What a user passes as arrays is checked, with what was expected and what was received."""
    with pytest.raises(DataError, match=told):
        Split(images, labels)


def test_labels_of_any_integer_type():
    """Labels of another integer type become int64."""
    assert Split(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1], np.uint8)).labels.dtype == np.int64


def test_class_names_differ():
    """Two classes of one name could not be told apart in a report."""
    with pytest.raises(DataError, match="two classes are named 'a'"):
        Dataset("d", ("a", "b", "a"), split([0, 1]))


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_a_name_can_be_a_folders(name: str):
    """The name becomes part of a path, and must not lead elsewhere."""
    with pytest.raises(DataError, match="name is letters"):
        Dataset(name, ("a", "b"), split([0, 1]))


def test_examples_are_of_every_class():
    """The first of each class, then the second of each; of more classes than examples, some that are far apart."""
    labels = np.array([2, 0, 2, 2, 1, 0])
    assert choose_examples(labels, 4) == [1, 4, 0, 5]
    assert choose_examples(labels, 99) == [1, 4, 0, 5, 2, 3]
    assert choose_examples(np.arange(100), 3) == [0, 50, 99]
    assert choose_examples(np.zeros(0, np.int64), 5) == []
