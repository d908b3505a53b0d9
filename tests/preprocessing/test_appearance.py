"""What training images look like: measured, carried as JSON, compared with."""

import json
from typing import Any

import numpy as np
import pytest

from eyespot.data.dataset import RowView
from eyespot.preprocessing.appearance import Appearance, looks_like_training
from eyespot.preprocessing.measure import measure_appearance
from tests.preprocessing.scenes import clothes_pictures, digit_picture, digit_pictures


def test_digits_are_light_strokes_centred_by_mass():
    """The pictures were made so, and are measured so."""
    found = measure_appearance(digit_pictures())
    assert found.plain
    assert not found.colour
    assert found.lighter
    assert found.drawn
    assert found.centring == "mass"
    assert found.background == 0
    assert found.height.median == pytest.approx(20 / 28, abs=0.01)
    assert found.mass_row.median == pytest.approx(0.5, abs=0.02)
    assert found.mass_column.median == pytest.approx(0.5, abs=0.02)
    assert 1.5 / 28 < found.stroke.median < 4 / 28


def test_polarity_is_measured():
    """The same pictures in black on white are darker than their background."""
    found = measure_appearance(255 - digit_pictures())
    assert found.plain
    assert not found.lighter
    assert found.background == 1


def test_clothes_are_filled_and_centred_by_their_box():
    """A filled shape is no stroke."""
    found = measure_appearance(clothes_pictures())
    assert found.plain
    assert not found.drawn
    assert found.centring != "none"
    assert found.box_column.median == pytest.approx(0.5, abs=0.01)


def test_objects_anywhere_have_no_centre():
    """Where pictures are not centred, nothing is claimed."""
    generator = np.random.default_rng(2)
    moved = np.stack([np.roll(image, generator.integers(-6, 7, 2), (0, 1)) for image in clothes_pictures()])
    assert measure_appearance(moved).centring == "none"


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_without_a_background_are_not_plain(channels: int):
    """Noise, or photographs: nothing is brought to their looks."""
    noise = np.random.default_rng(3).integers(0, 256, (40, 16, 16, channels)).astype(np.uint8)
    found = measure_appearance(noise)
    assert not found.plain
    assert found.colour == (channels == 3)


@pytest.mark.parametrize("grey", [0, 255])
def test_blank_pictures_are_not_plain(grey: int):
    """There is no object to look for."""
    assert not measure_appearance(np.full((5, 12, 12, 1), grey, np.uint8)).plain


def test_rows_from_disk_are_measured_alike():
    """A split of a memory-mapped set gives what the array gives."""
    pictures = digit_pictures()
    assert measure_appearance(RowView(pictures, np.arange(len(pictures)))) == measure_appearance(pictures)


def test_it_travels_as_json():
    """What is written is what is read."""
    found = measure_appearance(digit_pictures())
    assert Appearance.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("plain", 1, "plain must be true or false"),
        ("centring", "left", "centring must be one of mass, box, none"),
        ("background", 1.5, "background must be a number from 0 to 1"),
        ("background", float("nan"), "background must be a number"),
        ("background", True, "background must be a number"),
        ("stroke", {"low": 0}, "stroke must have exactly the keys"),
        ("stroke", [0, 0, 0, 0, 0], "stroke must have exactly the keys"),
        ("height", {"low": 0.5, "quarter": 0.1, "median": 0.6, "three_quarters": 0.7, "high": 0.8}, "height must rise"),
        ("more", 1, "appearance must have exactly the keys"),
    ],
)
def test_damaged_values_are_refused(key: str, value: Any, why: str):
    """It comes from a file."""
    told = measure_appearance(digit_pictures()).to_dict()
    with pytest.raises(ValueError, match=why):
        Appearance.from_dict(told | {key: value})


@pytest.mark.parametrize("told", [None, [], "plain", {}])
def test_no_appearance_at_all_is_refused(told: Any):
    """Whatever JSON may hold."""
    with pytest.raises(ValueError, match="exactly the keys"):
        Appearance.from_dict(told)


def test_training_pictures_look_like_themselves_and_others_do_not():
    """Inverted, shifted, smaller, blank and noisy pictures do not look so."""
    found = measure_appearance(digit_pictures())
    seven = digit_picture(7)
    noise = np.random.default_rng(4).integers(0, 256, seven.shape).astype(np.uint8)
    assert all(looks_like_training(image, found) for image in digit_pictures())
    smaller = np.pad(seven[::2, ::2], ((7, 7), (7, 7), (0, 0)))
    for other in (255 - seven, np.roll(seven, 6, axis=0), smaller, np.zeros_like(seven), noise, seven // 4):
        assert not looks_like_training(other, found)
