"""The warp against NumPy for what it does exactly, and against SciPy's affine transform for what it interpolates."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column, draw
from eyespot.data.augment.warp import background_of, warp

MIDDLE = 0.5  # what a change that goes either way draws to do nothing


def pictures(count: int, height: int, width: int, channels: int = 1) -> torch.Tensor:
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.integers(0, 256, (count, channels, height, width)).astype(np.float32))


def draws(count: int, **values: float) -> torch.Tensor:
    drawn = torch.full((count, len(Column)), MIDDLE)
    for name, value in values.items():
        drawn[:, Column[name.upper()]] = value
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
        expected = np.flip(before.numpy(), [axis for axis, drawn in ((3, mirror), (2, upend)) if drawn < 0.5])
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
    drawn = torch.from_numpy(draw(changes, 0, 0, 20))
    after = warp(before, changes, drawn)
    backgrounds = background_of(before)
    for number, row in enumerate(drawn.numpy()):
        angle = math.radians(changes.rotate) * (2 * row[Column.ANGLE] - 1)
        size = (1 + changes.zoom) ** (2 * row[Column.SIZE] - 1)
        signs = np.diag([1 - 2 * (row[Column.UPEND] < 0.5), 1 - 2 * (row[Column.MIRROR] < 0.5)])
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix = signs @ turn / size
        centre = (np.array(sides) - 1) / 2
        shift = changes.shift * (2 * row[[Column.DOWN, Column.RIGHT]] - 1) * sides
        mode = "grid-constant" if fill == "background" else "nearest"
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
