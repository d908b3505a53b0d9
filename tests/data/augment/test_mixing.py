import pytest
import torch

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import draw
from eyespot.data.augment.mixing import Mixed, mix

COUNT = 400


def mixed(changes: Changes, sides: tuple[int, int] = (12, 15)) -> Mixed:
    """Of pictures whose every pixel is their label."""
    labels = torch.arange(COUNT)
    pictures = labels.float()[:, None, None, None].expand(-1, 2, *sides)
    return mix(pictures, labels, changes, torch.from_numpy(draw(changes, 0, 3, COUNT)))


@pytest.mark.parametrize("changes", [Changes(mixup=0.4), Changes(cutmix=1.0), Changes(mixup=1.0, cutmix=0.5)])
def test_pictures_and_labels_are_mixed_alike(changes: Changes):
    """A picture's mean is that of its two labels by their shares, and the first has the larger one."""
    found = mixed(changes)
    expected = found.shares * found.labels + (1 - found.shares) * found.others
    torch.testing.assert_close(found.pictures.mean((1, 2, 3)), expected, rtol=1e-4, atol=1e-3)
    assert float(found.shares.min()) >= 0.5
    assert float(found.shares.max()) <= 1
    assert float(found.shares.var()) > 0.001
    assert sorted((found.labels + found.others).tolist()) != list(range(0, 2 * COUNT, 2))


def test_every_picture_has_a_partner():
    """Each is once itself and once a partner, in a random order of the batch."""
    found = mixed(Changes(mixup=1.0))
    both = torch.cat([found.labels, found.others])
    assert torch.bincount(both, minlength=COUNT).tolist() == [2] * COUNT
    assert (found.labels != found.others).float().mean() > 0.9


def test_a_cut_is_a_rectangle_and_a_blend_is_not():
    """Cutmix leaves pixels as they were, of one picture or the other; mixup makes all of them alike."""
    cut, blended = mixed(Changes(cutmix=1.0)), mixed(Changes(mixup=1.0))
    ends = torch.stack([cut.labels, cut.others])[:, :, None, None, None]
    assert (cut.pictures == ends).any(0).all()
    assert (blended.pictures == blended.pictures[:, :1, :1, :1]).all()
    inside = blended.pictures[:, 0, 0, 0]
    assert ((inside - blended.labels).abs() > 0.01).float().mean() > 0.5


def test_both_take_turns():
    """With both, about half of the pictures are cut and the others blended."""
    both = mixed(Changes(mixup=1.0, cutmix=1.0))
    blended = (both.pictures == both.pictures[:, :1, :1, :1]).flatten(1).all(1)
    cut_to_nothing = float((mixed(Changes(cutmix=1.0)).shares == 1).float().mean())
    assert float(blended.float().mean()) == pytest.approx(0.5 + cut_to_nothing / 2, abs=0.1)


def test_a_single_picture_is_mixed_with_itself():
    """The last batch of an epoch may hold one."""
    drawn = torch.from_numpy(draw(Changes(mixup=1.0), 0, 0, 1))
    found = mix(torch.full((1, 1, 3, 3), 7.0), torch.tensor([2]), Changes(mixup=1.0), drawn)
    assert (found.labels.tolist(), found.others.tolist()) == ([2], [2])
    torch.testing.assert_close(found.pictures, torch.full((1, 1, 3, 3), 7.0))
