"""Pictures whose class only one known patch decides, and small networks that were trained on them."""

import numpy as np

from eyespot.data.dataset import Dataset, Split

SIZE, PATCH = 16, 4
CORNERS = ((1, 1), (1, 11), (11, 1), (11, 11))


def corners() -> Dataset:
    """Noise of 16x16, a patch in one of four corners, which is the class, and one in the middle that says nothing."""
    return Dataset("corners", ("a", "b", "c", "d"), _split(400, seed=1), test=_split(80, seed=2))


def around(label: int) -> tuple[slice, slice]:
    """The patch that decides the class, and a pixel around it."""
    top, left = CORNERS[label]
    return slice(top - 1, top + PATCH + 1), slice(left - 1, left + PATCH + 1)


def _split(count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, SIZE, SIZE, 1)).astype(np.uint8)
    labels = np.arange(count, dtype=np.int64) % len(CORNERS)
    for image, label in zip(images, labels, strict=True):
        top, left = generator.integers(5, 8, 2)
        image[top : top + PATCH, left : left + PATCH] = generator.integers(100, 250)
        top, left = CORNERS[label]
        image[top : top + PATCH, left : left + PATCH] = 220
    return Split(images, labels)
