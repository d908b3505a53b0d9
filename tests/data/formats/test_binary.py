import struct

import numpy as np
import pytest

from eyespot.data.formats.binary import parse_idx, parse_idx_pair, parse_images, parse_labels
from eyespot.errors import DataError


def idx(array: np.ndarray, code: int = 0x08) -> bytes:
    """An array as an IDX file holds it."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


def test_what_is_written_is_read():
    """Pictures get a channel, labels become integers of 64 bits."""
    pictures = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(parse_images(idx(pictures), "a")[..., 0], pictures)
    labels = parse_labels(idx(np.array([3, 1], np.uint8)), "b")
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 1]


def test_numbers_of_several_bytes_are_big_endian():
    """Elements wider than a byte are read in the order the format states."""
    assert parse_idx(idx(np.array([1, 258], ">i4"), 0x0C), "a").tolist() == [1, 258]


@pytest.mark.parametrize("length", range(20))
def test_every_truncation_is_told(length: int):
    """A file cut anywhere is refused with its name."""
    whole = idx(np.ones((1, 2, 2), np.uint8))
    assert len(whole) == 20
    with pytest.raises(DataError, match="pictures-file"):
        parse_images(whole[:length], "pictures-file")


def test_a_file_that_goes_on_is_told():
    """Bytes after the promised ones are refused."""
    with pytest.raises(DataError, match="too long"):
        parse_idx(idx(np.ones(3, np.uint8)) + b"x", "a")


def test_a_header_that_promises_too_much_is_told_without_memory():
    """Absurd dimensions are compared with the file's length, not allocated."""
    with pytest.raises(DataError, match="truncated"):
        parse_idx(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**31), "a")


def test_pictures_and_labels_are_not_mistaken_for_each_other():
    """Labels where images are expected are refused, and the other way round."""
    with pytest.raises(DataError, match="no images"):
        parse_images(idx(np.ones(3, np.uint8)), "a")
    with pytest.raises(DataError, match="no labels"):
        parse_labels(idx(np.ones((1, 2, 2), np.uint8)), "a")


def test_another_format_is_told():
    """A file that does not begin as IDX is refused with what it begins with."""
    with pytest.raises(DataError, match="89 50 4e 47"):
        parse_idx(b"\x89PNG....", "a")


def test_a_pair_has_a_label_for_each_picture():
    """Two files of different lengths do not belong together, and both are named."""
    pictures, labels = idx(np.ones((2, 3, 4), np.uint8)), idx(np.array([1, 2, 3], np.uint8))
    with pytest.raises(DataError, match="pictures-file holds 2 images and labels-file 3 labels"):
        parse_idx_pair((pictures, "pictures-file"), (labels, "labels-file"))
