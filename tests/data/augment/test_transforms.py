"""The warp against NumPy for what it does exactly, and against SciPy's affine transform for what it interpolates."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from eyespot.data.augment.policy import POLICIES, Changes
from eyespot.data.augment.transforms import (
    AREA,
    SLIMMEST,
    AugmentedBatch,
    DrawColumn,
    MixedBatch,
    augment_batch,
    background_of,
    draw_step,
    erase_rectangles,
    inside_rectangle,
    mix_images,
    warp,
)


def test_a_step_draws_what_its_number_says():
    """The same seed and step give the same numbers, whatever was drawn before; another step or seed gives others."""
    changes = Changes(shift=0.1, mixup=0.4)
    first = draw_step(changes, 3, 17, 5)
    for other in ((3, 18), (4, 17), (4, 18)):
        assert not np.array_equal(draw_step(changes, *other, 5), first)
    assert np.array_equal(draw_step(changes, 3, 17, 5), first)


def test_one_change_does_not_move_anothers_numbers():
    """Switching mixing on leaves the uniform columns as they are."""
    plain, mixed = draw_step(Changes(shift=0.1), 0, 0, 9), draw_step(Changes(shift=0.1, mixup=1, cutmix=2), 0, 0, 9)
    assert np.array_equal(plain[:, : DrawColumn.MIXUP], mixed[:, : DrawColumn.MIXUP])
    assert (plain[:, DrawColumn.MIXUP :] == 1).all()
    assert not (mixed[:, DrawColumn.MIXUP :] == 1).any()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta(alpha: float):
    """Of many pictures, mean and variance of the shares are those of Beta(alpha, alpha)."""
    shares = draw_step(Changes(mixup=alpha), 1, 0, 20_000)[:, DrawColumn.MIXUP]
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_columns_are_uniform_and_apart():
    """Every other column is uniform in [0, 1), and no two go together."""
    drawn = draw_step(Changes(), 0, 5, 20_000)[:, : DrawColumn.MIXUP]
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean(0) == pytest.approx(0.5, abs=0.01)
    together = np.corrcoef(drawn.T) - np.eye(drawn.shape[1])
    assert np.abs(together).max() < 0.04


def test_the_first_pixel_is_inside_and_the_end_is_not():
    """Rows 1 to 2 and columns 0 to 3 of one picture, nothing of another, cut off at the edge of a third."""
    corners = torch.tensor([[1, 2, 3], [0, 0, -2], [3, 2, 9], [4, 5, 1]])
    found = inside_rectangle(corners[0], corners[1], corners[2], corners[3], (4, 5))
    assert found.shape == (3, 1, 4, 5)
    assert found[0, 0].int().tolist() == [[0] * 5, [1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0] * 5]
    assert found.sum((1, 2, 3)).tolist() == [8, 0, 1]


MIDDLE = 0.5  # what a change that goes either way draws to do nothing


def pictures(count: int, height: int, width: int, channels: int = 1) -> torch.Tensor:
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.integers(0, 256, (count, channels, height, width)).astype(np.float32))


def draws(count: int, **values: float) -> torch.Tensor:
    drawn = torch.full((count, len(DrawColumn)), MIDDLE)
    for name, value in values.items():
        drawn[:, DrawColumn[name.upper()]] = value
    return drawn


@pytest.mark.parametrize("fill", ["background", "edge"])
def test_the_middle_of_every_range_changes_nothing(fill: str):
    """A picture that is neither moved, turned nor zoomed comes out as it went in, to the pixel."""
    changes = Changes(shift=0.3, rotate=40, zoom=0.5, flip_horizontal=True, flip_vertical=True, fill=fill)  # type: ignore[arg-type]
    before = pictures(3, 7, 10, 3)
    assert torch.equal(warp(before, changes, draws(3)).round(), before)


def test_flips_are_numpys():
    """Left-right and upside down, each where its own draw says so."""
    changes = Changes(flip_horizontal=True, flip_vertical=True)
    before = pictures(1, 5, 8)
    for mirror, upend in ((0.1, 0.9), (0.9, 0.1), (0.1, 0.1)):
        expected = np.flip(before.numpy(), tuple(axis for axis, drawn in ((3, mirror), (2, upend)) if drawn < 0.5))
        after = warp(before, changes, draws(1, mirror=mirror, upend=upend)).round()
        assert np.array_equal(after.numpy(), expected)
        assert torch.equal(warp(before, Changes(shift=0.1), draws(1, mirror=mirror, upend=upend)).round(), before)


def test_a_shift_uncovers_background():
    """By a quarter of eight pixels, two columns come in, of the border's median colour or of the edge."""
    before = pictures(1, 8, 8)
    before[0, 0, 0] = before[0, 0, -1] = 200
    moved = warp(before, Changes(shift=0.25), draws(1, right=1.0)).round()
    assert torch.equal(moved[..., :-2], before[..., 2:])
    assert (moved[..., -2:] == 200).all()
    edge = warp(before, Changes(shift=0.25, fill="edge"), draws(1, right=1.0)).round()
    assert torch.equal(edge[..., -2:], before[..., -1:].expand(-1, -1, -1, 2))
    down = warp(before, Changes(shift=0.25), draws(1, down=1.0)).round()
    assert torch.equal(down[:, :, :-2], before[:, :, 2:])


def test_a_quarter_turn_is_numpys():
    """Ninety degrees, exactly."""
    before = pictures(1, 6, 6)
    turned = warp(before, Changes(rotate=90), draws(1, angle=1.0)).round()[0, 0].numpy()
    assert any(np.array_equal(turned, np.rot90(before[0, 0].numpy(), turns)) for turns in (1, 3))


@pytest.mark.parametrize("fill", ["background", "edge"])
@pytest.mark.parametrize("sides", [(9, 14), (12, 8)])
def test_it_is_scipys_affine_transform(sides: tuple[int, int], fill: str):
    """Everything at once, on pictures that are not square: bilinear interpolation of the same affine map."""
    changes = Changes(shift=0.2, rotate=30, zoom=0.4, flip_horizontal=True, flip_vertical=True, fill=fill)  # type: ignore[arg-type]
    before = pictures(20, *sides)
    drawn = torch.from_numpy(draw_step(changes, 0, 0, 20))
    after = warp(before, changes, drawn)
    backgrounds = background_of(before)
    for number, row in enumerate(drawn.numpy()):
        angle = math.radians(changes.rotate) * (2 * row[DrawColumn.ANGLE] - 1)
        size = (1 + changes.zoom) ** (2 * row[DrawColumn.SIZE] - 1)
        signs = np.diag([1 - 2 * (row[DrawColumn.UPEND] < 0.5), 1 - 2 * (row[DrawColumn.MIRROR] < 0.5)])
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix = signs @ turn / size
        centre = (np.array(sides) - 1) / 2
        shift = changes.shift * (2 * row[[DrawColumn.DOWN, DrawColumn.RIGHT]] - 1) * sides
        mode: Literal["grid-constant", "nearest"] = "grid-constant" if fill == "background" else "nearest"
        expected = affine_transform(
            before[number, 0].numpy(), matrix, centre - matrix @ centre + shift, order=1, mode=mode,
            cval=float(backgrounds[number, 0]),
        )  # fmt: skip
        np.testing.assert_allclose(after[number, 0].numpy(), expected, atol=0.05)


@pytest.mark.parametrize("paper", [0, 255])
def test_paper_stays_paper(paper: int):
    """What is drawn on white has no black corners after a turn, nor white ones on black, though it touches the edge."""
    before = torch.full((1, 1, 28, 28), float(paper))
    before[..., 10:, 12:16] = 255 - paper
    after = warp(before, Changes(shift=0.1, rotate=20, zoom=0.3), draws(1, angle=0.9, size=0.1, right=0.8))
    corners = after[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.flatten().tolist() == pytest.approx([paper] * 4, abs=0.01)


def test_a_colours_background_is_a_colour():
    """Each channel has its own; a long border is looked at in places."""
    before = torch.zeros((2, 3, 90, 70))
    before[0, 1], before[1, 2] = 90, 120
    before[:, :, 30:60, 20:50] = 255
    assert background_of(before).tolist() == [[0, 90, 0], [0, 0, 120]]


@pytest.mark.parametrize("sides", [(28, 28), (20, 40)])
def test_rectangles_of_one_colour_over_their_share(sides: tuple[int, int]):
    """About the given share of pictures lose one rectangle, of 2 to 40 % and at most 1 to 3.3 in its sides."""
    before = torch.full((2000, 3, *sides), -1.0)
    drawn = torch.from_numpy(draw_step(Changes(erase=0.3), 0, 0, 2000))
    after = erase_rectangles(before, 0.3, drawn)
    erased = (after != before).any(1)
    hit = erased.any(2).any(1)
    assert float(hit.float().mean()) == pytest.approx(0.3, abs=0.05)  # five deviations
    assert torch.equal(hit, drawn[:, DrawColumn.ERASE] < 0.3)
    for picture, mask in zip(after[hit], erased[hit], strict=True):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        high, wide = len(rows), len(columns)
        assert int(mask.sum()) == high * wide == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert AREA[0] * 0.5 < high * wide / mask.numel() < AREA[1] * 1.05
        assert min(high, wide) / max(high, wide) > SLIMMEST * 0.7 or wide == sides[1] or high == sides[0]
        assert len(torch.unique(picture[:, mask], dim=1).T) == 1


def test_they_lie_everywhere():
    """Every pixel is erased in some picture, none in most of them."""
    drawn = torch.from_numpy(draw_step(Changes(erase=1), 0, 1, 3000))
    often = (erase_rectangles(torch.full((3000, 1, 16, 16), -1.0), 1.0, drawn) >= 0).float().mean(0)[0].numpy()
    assert often.min() > 0.005
    assert often.max() < 0.5
    assert np.abs(often - often[::-1, ::-1]).max() < 0.05


COUNT = 400


def mixed(changes: Changes, sides: tuple[int, int] = (12, 15)) -> MixedBatch:
    """Of pictures whose every pixel is their label."""
    labels = torch.arange(COUNT)
    pictures = labels.float()[:, None, None, None].expand(-1, 2, *sides)
    return mix_images(pictures, labels, changes, torch.from_numpy(draw_step(changes, 0, 3, COUNT)))


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
    drawn = torch.from_numpy(draw_step(Changes(mixup=1.0), 0, 0, 1))
    found = mix_images(torch.full((1, 1, 3, 3), 7.0), torch.tensor([2]), Changes(mixup=1.0), drawn)
    assert (found.labels.tolist(), found.others.tolist()) == ([2], [2])
    torch.testing.assert_close(found.pictures, torch.full((1, 1, 3, 3), 7.0))


ALL = Changes(
    shift=0.1, rotate=15, zoom=0.2, flip_horizontal=True, flip_vertical=True, brightness=0.2, contrast=0.3, erase=0.5,
    mixup=0.4, cutmix=1.0,
)  # fmt: skip


def batch(count: int = 40, size: tuple[int, int, int] = (9, 12, 3)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(1)
    images = torch.from_numpy(generator.integers(0, 256, (count, *size), np.uint8))
    return images, torch.from_numpy(generator.integers(0, 4, count))


def augmented(
    changes: Changes, step: int = 0, size: tuple[int, int, int] = (9, 12, 3), count: int = 40
) -> AugmentedBatch:
    images, labels = batch(count, size)
    return augment_batch(images, labels, changes, torch.from_numpy(draw_step(changes, 7, step, count)))


@pytest.mark.parametrize("size", [(9, 12, 3), (28, 28, 1)])
@pytest.mark.parametrize("changes", [*POLICIES.values(), ALL], ids=[*POLICIES, "all"])
def test_pixels_come_out_as_they_went_in(changes: Changes, size: tuple[int, int, int]):
    """uint8 in the same shape, in rows as they lie in memory; the batch that came in is left alone."""
    images, labels = batch(size=size)
    found = augment_batch(images, labels, changes, torch.from_numpy(draw_step(changes, 7, 0, 40)))
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
    drawn = torch.full((40, len(DrawColumn)), 0.5)
    for column, value, expected in (
        (DrawColumn.BRIGHTNESS, 1.0, images.double() + 51),
        (DrawColumn.BRIGHTNESS, 0.0, images.double() - 51),
        (DrawColumn.CONTRAST, 1.0, _about_mean(images, 1.5)),
        (DrawColumn.CONTRAST, 0.0, _about_mean(images, 0.5)),
    ):
        row = drawn.clone()
        row[:, column] = value
        found = augment_batch(images, labels, changes, row).images.double()
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
