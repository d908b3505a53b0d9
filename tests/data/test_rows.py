import numpy as np
import pytest

from eyespot.data.dataset import Dataset, Split
from eyespot.data.rows import Rows, chunks

BASE = np.arange(5 * 2 * 2, dtype=np.uint8).reshape(5, 2, 2, 1)


def test_rows_behave_as_the_array_they_stand_for():
    """Shape, type, length, every kind of index, iteration and conversion give what a copy would."""
    rows, copy = Rows(BASE, np.array([3, 0, 3])), BASE[[3, 0, 3]]
    assert (rows.shape, rows.ndim, rows.dtype, rows.nbytes, len(rows)) == ((3, 2, 2, 1), 4, np.uint8, 12, 3)
    for key in (1, slice(1, None), np.array([2, 0]), np.array([True, False, True])):
        assert np.array_equal(rows[key], copy[key])
    assert np.array_equal(np.asarray(rows), copy)
    assert np.array_equal(np.stack(list(rows)), copy)
    assert np.asarray(rows, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.asarray(rows, copy=False)


def test_rows_of_rows_are_of_the_base():
    """Taking rows copies nothing."""
    taken = Rows(BASE, np.array([3, 0, 4])).take(np.array([2, 1]))
    assert taken.base is BASE
    assert taken.index.tolist() == [4, 0]


def test_chunks_are_all_rows_in_order(monkeypatch: pytest.MonkeyPatch):
    """Put together again they are the array, also where one row is more than is taken at once."""
    for at_once in (1, 8, 1000):
        monkeypatch.setattr("eyespot.data.rows.AT_ONCE", at_once)
        assert np.array_equal(np.concatenate(list(chunks(BASE))), BASE)


def test_a_dataset_of_rows_is_the_dataset_of_their_copy():
    """The same pictures and labels have the same fingerprint, wherever they lie; taking rows keeps their files."""
    labels, files = np.array([0, 1, 0]), ("a", "b", "c")
    mapped = Split(Rows(BASE, np.array([1, 2, 4])), labels, files)
    copied = Split(BASE[[1, 2, 4]], labels)
    assert Dataset("x", ("p", "q"), mapped).fingerprint == Dataset("x", ("p", "q"), copied).fingerprint
    taken = mapped.take(np.array([2, 0]))
    assert isinstance(taken.images, Rows)
    assert taken.files == ("c", "a")
    assert np.array_equal(np.asarray(taken.images), copied.take(np.array([2, 0])).images)
