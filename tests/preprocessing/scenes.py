"""Small pictures of one object each, as MNIST and Fashion-MNIST have them, and photographs of such objects."""

from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
SIDE = 28
PAPER, INK = 0.93, 0.25


@cache
def glyph(digit: int, height: int) -> Any:
    """Coverage of a digit, so many pixels high, cut to its box; float32 [height, width] in [0, 1]."""
    face = ImageFont.truetype(str(FONT), 2 * height)
    canvas = Image.new("L", (4 * height, 4 * height), 0)
    ImageDraw.Draw(canvas).text((height, height), str(digit), fill=255, font=face)
    cut = canvas.crop(canvas.getbbox())
    width = max(1, round(cut.width * height / cut.height))
    return np.asarray(cut.resize((width, height), Image.Resampling.LANCZOS), np.float32) / 255


def digit_picture(digit: int) -> Any:
    """As MNIST: white on black, 20 of 28 pixels high, its centre of mass in the middle; uint8 [28, 28, 1]."""
    small = glyph(digit, 20)
    canvas = np.zeros((SIDE, SIDE), np.float32)
    canvas[4:24, 4 : 4 + small.shape[1]] = small[:, : SIDE - 4]
    away = SIDE / 2 - 0.5 - np.array(ndimage.center_of_mass(canvas))
    moved = ndimage.shift(canvas, away, order=1)
    return np.round(np.clip(moved, 0, 1) * 255).astype(np.uint8)[..., None]


def digit_pictures() -> Any:
    """Ten of each digit, all alike; uint8 [100, 28, 28, 1]."""
    return np.stack([digit_picture(digit) for digit in range(10)] * 10)


def clothes_pictures(count: int = 60) -> Any:
    """As Fashion-MNIST: grey filled shapes in the middle of black; uint8 [count, 28, 28, 1]."""
    generator = np.random.default_rng(0)
    pictures = np.zeros((count, SIDE, SIDE, 1), np.uint8)
    for picture in pictures:
        half = int(generator.integers(5, 12))
        texture = generator.integers(150, 255, (26, 2 * half, 1))
        picture[1:27, 14 - half : 14 + half] = texture
    return pictures


def paper(height: int = 480, width: int = 640, *, light: str = "even") -> Any:
    """Blank paper; float32 [height, width] in [0, 1]."""
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    level = {
        "even": np.ones((height, width)),
        "gradient": 1 - 0.55 * (0.3 * down + 0.7 * across),
        "shadow": np.where(across + 0.3 * down > 0.62, 0.5, 1.0),
    }[light]
    grain = np.random.default_rng(1).normal(0, 0.008, (height, width))
    return (PAPER * level + grain).astype(np.float32)


def ruled(sheet: Any, *, every: int = 40, squared: bool = False) -> Any:
    """With lines two pixels wide."""
    lined = sheet.copy()
    for first in range(every // 2, sheet.shape[0] - 2, every):
        lined[first : first + 2] *= 0.75
    for first in range(every // 2, sheet.shape[1] - 2, every) if squared else ():
        lined[:, first : first + 2] *= 0.75
    return lined


def written(sheet: Any, digit: int, height: int, at: tuple[int, int], ink: float = INK) -> Any:
    """A digit on paper, its top left corner at (row, column)."""
    cover = glyph(digit, height)
    page = sheet.copy()
    area = (slice(at[0], at[0] + cover.shape[0]), slice(at[1], at[1] + cover.shape[1]))
    page[area] = page[area] * (1 - cover) + ink * page[area] * cover
    return page


def photo(page: Any) -> Image.Image:
    """As a camera gives it."""
    levels = np.round(np.clip(page, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def likeness(one: Any, other: Any) -> float:
    """Correlation of two pictures' pixels."""
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])
