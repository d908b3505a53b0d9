import numpy as np
import pytest
import torch

from eyespot.data.augment.augmenter import Augmented, augment
from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column, draw
from eyespot.data.augment.policy import POLICIES

ALL = Changes(
    shift=0.1, rotate=15, zoom=0.2, flip_horizontal=True, flip_vertical=True, brightness=0.2, contrast=0.3, erase=0.5,
    mixup=0.4, cutmix=1.0,
)  # fmt: skip


def batch(count: int = 40, size: tuple[int, int, int] = (9, 12, 3)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(1)
    images = torch.from_numpy(generator.integers(0, 256, (count, *size), np.uint8))
    return images, torch.from_numpy(generator.integers(0, 4, count))


def augmented(changes: Changes, step: int = 0, size: tuple[int, int, int] = (9, 12, 3), count: int = 40) -> Augmented:
    images, labels = batch(count, size)
    return augment(images, labels, changes, torch.from_numpy(draw(changes, 7, step, count)))


@pytest.mark.parametrize("size", [(9, 12, 3), (28, 28, 1)])
@pytest.mark.parametrize("changes", [*POLICIES.values(), ALL], ids=[*POLICIES, "all"])
def test_pixels_come_out_as_they_went_in(changes: Changes, size: tuple[int, int, int]):
    """uint8 in the same shape, in rows as they lie in memory; the batch that came in is left alone."""
    images, labels = batch(size=size)
    found = augment(images, labels, changes, torch.from_numpy(draw(changes, 7, 0, 40)))
    assert (found.images.shape, found.images.dtype) == (images.shape, torch.uint8)
    assert found.images.is_contiguous()
    assert torch.equal(images, batch(size=size)[0])
    assert torch.equal(found.images, images) is (not changes.any)
    assert (found.others is None) is (not changes.mixes)


def test_a_step_gives_the_same_bits_with_any_number_of_threads():
    """What is learnt depends on seed and step, not on how the work was shared out."""
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(augmented(ALL, size=(64, 61, 3), count=65))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert torch.equal(other.images, found[0].images)
        assert torch.equal(other.labels, found[0].labels)
        assert other.shares is not None
        assert found[0].shares is not None
        assert torch.equal(other.shares, found[0].shares)
    assert not torch.equal(augmented(ALL, step=1, size=(64, 61, 3), count=65).images, found[0].images)


def test_brightness_and_contrast_are_what_they_say():
    """A constant is added, and differences from the picture's mean are multiplied; pixels end at 0 and 255."""
    changes = Changes(brightness=0.2, contrast=0.5)
    images, labels = batch()
    drawn = torch.full((40, len(Column)), 0.5)
    for column, value, expected in (
        (Column.BRIGHTNESS, 1.0, images.double() + 51),
        (Column.BRIGHTNESS, 0.0, images.double() - 51),
        (Column.CONTRAST, 1.0, _about_mean(images, 1.5)),
        (Column.CONTRAST, 0.0, _about_mean(images, 0.5)),
    ):
        row = drawn.clone()
        row[:, column] = value
        found = augment(images, labels, changes, row).images.double()
        assert float((found - expected.clamp(0, 255)).abs().max()) < 0.51


def _about_mean(images: torch.Tensor, slope: float) -> torch.Tensor:
    mean = images.double().mean((1, 2, 3), keepdim=True)
    return mean + slope * (images.double() - mean)


def test_labels_stay_where_nothing_is_mixed():
    """Only mixup and cutmix touch labels."""
    changes = POLICIES["photos"]
    found = augmented(changes)
    assert torch.equal(found.labels, batch()[1])
    assert found.shares is None
