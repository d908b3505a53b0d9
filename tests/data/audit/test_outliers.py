import numpy as np

from eyespot.data.audit.outliers import find_outliers
from eyespot.data.dataset import Dataset, Split
from tests.data.audit.test_duplicates import blobs


def reasons(images: np.ndarray, sizes: np.ndarray | None = None) -> dict[int, str]:
    split = Split(images, np.arange(len(images)) % 2, None, sizes)
    return {oddity.place[1]: oddity.reason for oddity in find_outliers(Dataset("blobs", ("a", "b"), split))}


def test_nothing_stands_out_among_pictures_of_one_kind():
    """Two hundred pictures alike in every measure, and no finding."""
    assert reasons(blobs(200, 1)) == {}


def test_pictures_that_stand_out_are_told_with_the_reason():
    """A dark one, a bright one, a blank one and a noisy one among a hundred."""
    images = blobs(100, 1)
    images[3] //= 20
    images[50] = 255 - images[50] // 20
    images[60] = 128
    images[70] = np.random.default_rng(0).integers(0, 256, (28, 28, 1))
    found = reasons(images)
    assert set(found) == {3, 50, 60, 70}
    assert found[60] == "blank, or of little contrast"
    assert found[70] == "noisy, or unusually sharp"


def test_sizes_and_shapes_that_stand_out_are_told():
    """Of files, one far smaller and one far wider than the rest."""
    sizes = np.full((50, 2), 100)
    sizes += np.random.default_rng(0).integers(-9, 9, sizes.shape)
    sizes[7], sizes[9] = (10, 10), (30, 900)
    found = reasons(blobs(50, 1), sizes)
    assert found == {7: "much smaller than the others", 9: "unusually wide"}
