"""From a photograph to the looks of the training images."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from eyespot.data.picture import fit_to_size
from eyespot.preprocessing.light import background_of, inkiness, is_lighter
from eyespot.preprocessing.measure import measure_appearance
from eyespot.preprocessing.objects import MOST, DetectedObject, find_objects, reading_order
from eyespot.preprocessing.pipeline import PhotographReading, read_photograph
from eyespot.preprocessing.ruled_lines import remove_lines
from tests.preprocessing.scenes import (
    clothes_pictures,
    digit_picture,
    digit_pictures,
    likeness,
    paper,
    photo,
    ruled,
    written,
)

SHAPE = (28, 28, 1)
APPEARANCE = measure_appearance(digit_pictures())


def read(picture: Image.Image, *, each: bool = False) -> PhotographReading:
    """By the looks of the digits."""
    return read_photograph(picture, APPEARANCE, SHAPE, each=each)


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("light", ["even", "gradient", "shadow"])
def test_a_digit_on_paper_becomes_a_training_picture(digit: int, light: str):
    """Small, off centre, dark on light, in uneven light; merely resized it is nothing of the kind."""
    picture = photo(written(paper(light=light), digit, 110, (270, 380)))
    reading = read(picture)
    assert likeness(reading.images[0], digit_picture(digit)) > 0.85
    assert likeness(fit_to_size(picture, SHAPE, "squash"), digit_picture(digit)) < 0.3
    assert reading.note is None
    (box,) = reading.boxes
    assert box is not None
    assert np.abs(np.array(box)[[1, 3]] - (270, 380)).max() <= 6
    assert abs(box[0] - 380) <= 6


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("squared", [False, True])
def test_ruled_lines_are_no_strokes(digit: int, squared: bool):
    """A digit across the lines of ruled and of squared paper is read without them."""
    reading = read(photo(written(ruled(paper(), squared=squared), digit, 150, (150, 250))))
    assert likeness(reading.images[0], digit_picture(digit)) > 0.8
    assert any("ruled lines" in title for title, _ in reading.steps)


@pytest.mark.parametrize("digit", [2, 4, 5, 7])
def test_chalk_is_lighter_than_its_board(digit: int):
    """The polarity is that of the photograph, not of a habit."""
    reading = read(photo(1 - written(paper(light="gradient"), digit, 200, (100, 200))))
    assert likeness(reading.images[0], digit_picture(digit)) > 0.85


def test_polarity():
    """Dark strokes on light, and light ones on dark, thin and thick."""
    for height in (60, 150, 300):
        page = written(paper(), 5, height, (60, 200))
        assert not is_lighter(page)
        assert is_lighter(1 - page)


def test_a_shadow_is_not_ink():
    """Its edge is steep, and yet nothing that is drawn."""
    page = paper(light="shadow")
    ink = inkiness(page, background_of(page, lighter=False), lighter=False)
    assert np.percentile(ink, 97) < 0.1


def test_several_digits_are_said_and_read_one_by_one():
    """In reading order with `each`; else the most prominent alone, with a sentence."""
    page = paper()
    for number, (digit, row) in enumerate([(3, 80), (1, 84), (7, 78), (5, 280), (2, 284)]):
        page = written(page, digit, 90, (row, 60 + 150 * (number % 3)))
    picture = photo(page)
    one, every = read(picture), read(picture, each=True)
    assert len(one.images) == 1
    assert one.note == "5 objects are on it; the most prominent one is read, and `each` reads them all."
    assert every.note is None
    assert len(every.images) == 5
    for image, digit in zip(every.images, (3, 1, 7, 5, 2), strict=True):
        assert likeness(image, digit_picture(digit)) > 0.85
    assert one.boxes[0] in every.boxes


@pytest.mark.parametrize("shape", [(480, 640), (30, 2000), (1, 1), (40, 40)])
def test_blank_paper_shows_no_object(shape: tuple[int, int]):
    """Whatever its size: it is read as it is, and said."""
    reading = read(Image.new("L", shape[::-1], 240))
    assert reading.note == "No object was found on it; it is read as it is."
    assert reading.images[0].shape == SHAPE
    assert reading.boxes == [None]


@pytest.mark.parametrize("digit", range(10))
def test_a_training_picture_is_left_alone(digit: int):
    """Pixel by pixel; also enlarged, when it is only made smaller again; and inverted, when it is turned round."""
    image = digit_picture(digit)
    assert (read(Image.fromarray(image[..., 0])).images[0] == image).all()
    large = Image.fromarray(image[..., 0]).resize((280, 280), Image.Resampling.NEAREST)
    assert likeness(read(large).images[0], image) > 0.98
    assert (read(Image.fromarray(255 - image[..., 0])).images[0] == image).all()


def test_a_picture_of_exactly_the_models_size_is_left_alone():
    """Somebody has prepared it: of something else, it must still be possible to say so."""
    noise = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    assert (read(Image.fromarray(noise)).images[0][..., 0] == noise).all()


def test_a_filled_object_keeps_its_greys():
    """A garment on a table is scaled and placed, not traced."""
    found = measure_appearance(clothes_pictures())
    page = np.full((600, 500), 0.9, np.float32)
    page[120:480, 180:320] = 0.35
    page[120:300, 180:320] = 0.55
    reading = read_photograph(photo(page), found, SHAPE)
    image = reading.images[0][..., 0].astype(int)
    rows, columns = np.nonzero(image > 40)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(14, abs=1)
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(14, abs=1)
    middle = image[:, 13:15].mean(axis=1)
    assert middle[rows.max() - 4] > 1.3 * middle[rows.min() + 4] > 60


def test_lines_are_taken_out_and_strokes_are_repaired():
    """What is left of a line is faint; a stroke that it crosses is not cut."""
    sheet = np.zeros((300, 400), np.float32)
    sheet[100:102] = sheet[140:142] = sheet[180:182] = 0.3
    drawn = sheet.copy()
    drawn[60:240, 195:205] = 0.9
    cleaned, lines = remove_lines(drawn, 0.005)
    assert lines[100:102].mean() > 0.9
    assert cleaned[100:102, :180].max() < 0.1
    assert cleaned[60:240, 198:202].min() > 0.6


def test_a_single_stroke_is_no_ruled_line():
    """A long 1 in the middle of blank paper does not reach the frame, and stays."""
    sheet = np.zeros((300, 400), np.float32)
    sheet[60:240, 198:201] = 0.8
    cleaned, lines = remove_lines(sheet, 0.005)
    assert not lines.any()
    assert (cleaned == sheet).all()


def test_parts_belong_to_their_object_and_dirt_does_not():
    """The bar of a 5 that does not touch it is a part of it; a speck is nothing."""
    mask = np.zeros((200, 200), bool)
    mask[60:140, 80:90] = mask[46:54, 80:130] = True
    mask[10:13, 10:13] = True
    found, main = find_objects(mask, mask.astype(np.float32))
    assert main == 0
    assert [(one.top, one.left, one.bottom, one.right) for one in found] == [(46, 80, 140, 130)]


@pytest.mark.parametrize(
    ("most", "peak_bytes"), [(60, 30_000_000), pytest.param(MOST, 100_000_000, marks=pytest.mark.slow)]
)
def test_a_pattern_of_a_thousand_objects_takes_no_gigabytes(
    most: int, peak_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    """Of dots all over a picture, the largest 60 or 200 are told apart, each by its own pixels."""
    monkeypatch.setattr("eyespot.preprocessing.objects.MOST", most)
    rows, columns = np.indices((800, 800))
    mask = (rows % 20 < 14) & (columns % 20 < 14)
    ink = mask.astype(np.float32)
    tracemalloc.start()
    try:
        found, _ = find_objects(mask, ink)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most / 2 < len(found) <= most <= 200
    assert all(one.mask.shape == (14, 14) for one in found)
    assert peak < peak_bytes, peak


def test_grain_is_passed_over(monkeypatch: pytest.MonkeyPatch):
    """Of tens of thousands of specks none is looked at one by one."""
    pixels = np.full((800, 800), 255, np.uint8)
    pixels[::3, ::3] = 0
    looked = []
    find = ndimage.find_objects
    monkeypatch.setattr(ndimage, "find_objects", lambda labels: looked.append(int(labels.max())) or find(labels))
    read(Image.fromarray(pixels))
    assert sum(looked) < 10_000


def test_reading_order_is_by_rows():
    """Rows need not be straight."""
    places = [(10, 100), (14, 20), (90, 60), (6, 60), (95, 10)]
    found = [DetectedObject(np.zeros((1, 1), bool), top, left, top + 30, left + 20, 1.0) for top, left in places]
    assert [(one.top, one.left) for one in reading_order(found)] == [(14, 20), (6, 60), (10, 100), (95, 10), (90, 60)]
