"""The fused kernel against the same in PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eyespot.data.augment.policy import POLICIES, Changes
from eyespot.data.augment.transforms import augment_batch, draw_step
from eyespot.engine.steps import _by_numba

pytest.importorskip("numba")

EVERYTHING = Changes(
    shift=0.3, rotate=60, zoom=0.5, flip_horizontal=True, flip_vertical=True, brightness=0.3, contrast=0.4, erase=0.5,
    mixup=0.4, cutmix=1.0,
)  # fmt: skip
CASES: dict[str, Changes] = {
    **{str(name): changes for name, changes in POLICIES.items()},
    "mixup": Changes(mixup=0.5),
    "cutmix": Changes(cutmix=0.5),
    "erase": Changes(erase=1.0),
    "everything": EVERYTHING,
    "everything to the edge": replace(EVERYTHING, fill="edge"),
}


@pytest.mark.parametrize("size", [(28, 28, 1), (9, 14, 3), (1, 5, 1), (40, 33, 3)])
@pytest.mark.parametrize("name", CASES)
def test_it_is_what_pytorch_makes_of_it(name: str, size: tuple[int, int, int]):
    """Pixels are the same, but for a few that were rounded the other way; labels and shares are the same."""
    changes, generator = CASES[name], np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (50, *size), np.uint8))
    labels = torch.from_numpy(generator.integers(0, 5, 50))
    draws = torch.from_numpy(draw_step(changes, 1, 2, 50))
    ours, theirs = _by_numba(images, labels, changes, draws), augment_batch(images, labels, changes, draws)
    apart = (ours.images.int() - theirs.images.int()).abs()
    assert int(apart.max()) <= 1
    assert float((apart > 0).float().mean()) < 0.002
    assert torch.equal(ours.labels, theirs.labels)
    if changes.mixes:
        assert ours.shares is not None
        assert ours.others is not None
        torch.testing.assert_close(ours.shares, theirs.shares, rtol=0, atol=1e-6)
        assert torch.equal(ours.others, theirs.others)
    else:
        assert ours.others is ours.shares is theirs.others is None
