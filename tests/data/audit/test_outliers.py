import numpy as np
from scipy.ndimage import gaussian_filter

from eyespot.data.audit.outliers import Outlier, find_outliers
from eyespot.data.dataset import Dataset, Split
from tests.data.audit.test_duplicates import blobs


def outliers(images: np.ndarray, sizes: np.ndarray | None = None) -> dict[int, Outlier]:
    split = Split(images, np.arange(len(images)) % 2, None, sizes)
    return {outlier.place[1]: outlier for outlier in find_outliers(Dataset("blobs", ("a", "b"), split))}


def reasons(images: np.ndarray, sizes: np.ndarray | None = None) -> dict[int, str]:
    return {row: outlier.reason for row, outlier in outliers(images, sizes).items()}


def textures(number: int) -> np.ndarray:
    """Images of 48x48 with detail of all sizes, as photographs have: a random field whose spectrum falls as 1 / f."""
    generator = np.random.default_rng(5)
    rows, columns = np.meshgrid(np.fft.fftfreq(48), np.fft.fftfreq(48), indexing="ij")
    frequency = np.maximum(np.hypot(rows, columns), 1 / 48)
    noise = np.fft.fft2(generator.normal(size=(number, 48, 48))) / frequency
    fields = np.real(np.fft.ifft2(noise))
    fields /= fields.std(axis=(1, 2), keepdims=True)
    contrast = generator.uniform(20, 50, (number, 1, 1))
    return np.clip(128 + contrast * fields, 0, 255).astype(np.uint8)[..., np.newaxis]


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
    assert found[60] == "low contrast"
    assert found[70] == "noisy"


def test_sizes_and_shapes_that_stand_out_are_told():
    """Of files, one far smaller and one far wider than the rest."""
    sizes = np.full((50, 2), 100)
    sizes += np.random.default_rng(0).integers(-9, 9, sizes.shape)
    sizes[7], sizes[9] = (10, 10), (30, 900)
    found = reasons(blobs(50, 1), sizes)
    assert found == {7: "undersized", 9: "wide"}


def test_a_blurred_image_stands_out_and_a_faint_one_does_not():
    """Blur takes fine detail and leaves coarser detail; a twentieth of the contrast leaves their ratio."""
    images = textures(120)
    images[4] = gaussian_filter(images[4].astype(float), (1, 1, 0)).round()
    images[9] = 128 + (images[9].astype(float) - 128) / 20
    found = reasons(images)
    assert [row for row, reason in found.items() if reason == "soft or blurred"] == [4]
    assert found.get(9) in {None, "low contrast"}


def test_what_was_measured_is_said_with_the_median():
    """In numbers that a user can check: pixels of the file, the mean pixel."""
    sizes = np.full((50, 2), 100)
    sizes[7] = 2_000
    images = blobs(50, 1)
    images[3] //= 20
    found = outliers(images, sizes)
    assert found[7].measured == "4,000,000 pixels (median 10,000)"
    means = images.mean(axis=(1, 2, 3))
    assert found[3].measured == f"mean pixel {means[3]:.0f} (median {np.median(means):.0f})"


def test_blank_images_alone_are_not_judged_by_their_detail():
    """They have none: nothing stands out among them."""
    assert reasons(np.full((30, 20, 20, 1), 7, np.uint8)) == {}
