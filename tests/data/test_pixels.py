import io

import numpy as np
import pytest
from PIL import Image

from eyespot.data.pixels import as_pillow, border_median, border_pixels, encode_png


def test_the_border_is_every_outer_pixel_once():
    """Rows first, then the sides without their corners; also of images without channels."""
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert border_pixels(image).tolist() == [[0, 1, 2, 3, 8, 9, 10, 11, 4, 7]]
    assert border_pixels(np.stack([image, image], axis=3)).shape == (1, 10, 2)


def test_the_border_has_one_colour():
    """The median of each channel: what touches the border in places does not change it, nor does the middle."""
    image = np.full((1, 9, 9, 3), (200, 90, 7), np.uint8)
    image[0, 2:7, 2:7] = 0
    image[0, 0, :4] = 255
    assert border_median(image).tolist() == [[200, 90, 7]]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_an_encoded_image_has_the_same_pixels(channels: int, mode: str):
    """A PNG is greyscale or colour as the image is, and loses nothing."""
    image = np.random.default_rng(0).integers(0, 256, (5, 6, channels)).astype(np.uint8)
    for content in (encode_png(image), encode_png(image, optimize=True)):
        opened = Image.open(io.BytesIO(content))
        assert (opened.format, opened.mode) == ("PNG", mode)
        assert np.array_equal(np.asarray(opened).reshape(image.shape), image)
    assert as_pillow(image).mode == mode
