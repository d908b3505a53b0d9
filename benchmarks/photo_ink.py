"""Digits to be put on paper: glyphs of fonts, MNIST's handwriting traced with a pen, and strokes written by rule."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

# A font without ordinary upright digits of its own: symbols, old-style figures, or boxes that stand for missing ones.
WITHOUT_DIGITS = ("STIXNonUni", "STIXSiz", "cmex", "cmsy", "cmmi", "LastResort", "Display", "TeXGyre", "Nanum")
TRACED = 6  # pixels of the tracing a pixel of MNIST's
# Strokes of each digit in a box of 1 x 1, (across, down); several ways of writing some of them.
WRITTEN: dict[int, tuple[tuple[tuple[tuple[float, float], ...], ...], ...]] = {
    0: ((((0.5, 0.02), (0.12, 0.25), (0.1, 0.7), (0.45, 0.98), (0.85, 0.75), (0.9, 0.3), (0.55, 0.02)),),),
    1: (
        (((0.5, 0.0), (0.5, 0.5), (0.48, 1.0)),),
        (((0.25, 0.25), (0.4, 0.15), (0.52, 0.0), (0.52, 0.5), (0.52, 1.0)),),
    ),
    2: (
        (((0.1, 0.25), (0.3, 0.02), (0.75, 0.05), (0.8, 0.35), (0.45, 0.7), (0.08, 0.97)), ((0.08, 0.97), (0.9, 0.95))),
        (((0.12, 0.22), (0.4, 0.0), (0.8, 0.18), (0.6, 0.55), (0.15, 0.92), (0.25, 0.8), (0.5, 0.95), (0.95, 0.9)),),
    ),
    3: (
        (((0.12, 0.12), (0.5, 0.0), (0.82, 0.2), (0.65, 0.42), (0.38, 0.48)),
         ((0.38, 0.48), (0.8, 0.56), (0.85, 0.82), (0.5, 1.0), (0.08, 0.88))),
    ),
    4: (
        (((0.6, 0.0), (0.35, 0.35), (0.05, 0.65)), ((0.05, 0.65), (0.95, 0.62)),
         ((0.68, 0.3), (0.67, 0.65), (0.65, 1.0))),
        (((0.15, 0.02), (0.12, 0.3), (0.12, 0.5)), ((0.12, 0.5), (0.8, 0.48)), ((0.8, 0.0), (0.78, 0.5), (0.77, 1.0))),
    ),
    5: (
        (((0.25, 0.05), (0.2, 0.45)), ((0.2, 0.45), (0.55, 0.38), (0.88, 0.62), (0.65, 0.97), (0.08, 0.92)),
         ((0.26, 0.05), (0.55, 0.04), (0.88, 0.02))),
    ),
    6: (
        (((0.72, 0.0), (0.35, 0.25), (0.13, 0.65), (0.35, 0.97), (0.75, 0.9), (0.78, 0.62), (0.48, 0.52),
          (0.16, 0.72)),),
    ),
    7: (
        (((0.08, 0.06), (0.9, 0.04)), ((0.9, 0.04), (0.6, 0.5), (0.38, 1.0))),
        (((0.08, 0.06), (0.9, 0.04)), ((0.9, 0.04), (0.6, 0.5), (0.38, 1.0)), ((0.3, 0.5), (0.85, 0.47))),
    ),
    8: (
        (((0.5, 0.48), (0.18, 0.3), (0.3, 0.03), (0.7, 0.03), (0.82, 0.28), (0.5, 0.48)),
         ((0.5, 0.48), (0.12, 0.7), (0.25, 0.97), (0.75, 0.97), (0.88, 0.7), (0.5, 0.48))),
    ),
    9: ((((0.82, 0.25), (0.6, 0.03), (0.2, 0.12), (0.2, 0.45), (0.6, 0.5), (0.82, 0.25), (0.8, 0.6), (0.62, 1.0)),),),
}  # fmt: skip


def font_families(folders: tuple[Path, ...] = ()) -> dict[str, list[Path]]:
    """Matplotlib's fonts, the system's and those of the folders, by family; only those with ordinary digits."""
    bundled = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = {*bundled.glob("*.ttf"), *map(Path, font_manager.findSystemFonts())}
    for folder in folders:
        files |= {file for file in folder.rglob("*") if file.suffix in {".ttf", ".otf", ".woff2"}}
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(files):
        if not any(name in file.name for name in WITHOUT_DIGITS):
            family, style = ImageFont.truetype(str(file), 20).getname()
            found.setdefault(
                str(family).split(" Light")[0].split(" Semi")[0].split(" Extra")[0].split(" Medium")[0], {}
            )[f"{family} {style}"] = file
    return {family: list(styles.values()) for family, styles in sorted(found.items())}


def glyph(digit: int, font: Path, height: int) -> np.ndarray:
    """A digit of a font, so many pixels high; coverage in [0, 1], cut to its box."""
    face = ImageFont.truetype(str(font), 2 * height)
    left, top, right, bottom = face.getbbox(str(digit))
    large = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8), 0)
    ImageDraw.Draw(large).text((4 - left, 4 - top), str(digit), fill=255, font=face)
    cut = large.crop(large.getbbox())
    width = max(1, round(cut.width * height / cut.height))
    return np.asarray(cut.resize((width, height), Image.Resampling.LANCZOS), np.float32) / 255


def traced(image: np.ndarray, height: int, pen: float) -> np.ndarray:
    """A handwritten digit of MNIST written anew with a pen of another width.

    The middle of its strokes is where the distance to their edge has a ridge; the pen follows it.

    Args:
        image: uint8 [28, 28].
        height: of the result, in pixels.
        pen: its width, a share of the height.
    """
    size = (image.shape[1] * TRACED, image.shape[0] * TRACED)
    large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), np.float32)
    middle = _pruned(_thinned(np.pad(ndimage.gaussian_filter(large, TRACED / 2) > 100, 4)))  # noqa: PLR2004 - as dark
    rows = np.flatnonzero(middle.any(axis=1))
    tall = rows[-1] - rows[0] + 1
    radius = pen * tall / 2 / (1 - pen)
    far = ndimage.distance_transform_edt(~np.pad(middle, int(radius) + 4))
    return _cut(np.clip(radius - far + 0.5, 0, 1).astype(np.float32), height)


def _thinned(mask: np.ndarray) -> np.ndarray:
    """A skeleton one pixel wide (Zhang and Suen 1984, CACM 27:236-239)."""
    kept = mask.copy()
    while True:
        before = kept.sum()
        for phase in (0, 1):
            ring = [np.roll(kept, shift, (0, 1)) for shift in
                    ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]  # fmt: skip
            count = sum(side.astype(np.int8) for side in ring)
            turns = sum((~a & b).astype(np.int8) for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
            north, east, south, west = ring[0], ring[2], ring[4], ring[6]
            corner = (north & east & south) | (east & south & west)
            if phase:
                corner = (north & east & west) | (north & south & west)
            kept &= ~((count >= 2) & (count <= 6) & (turns == 1) & ~corner)  # noqa: PLR2004 - as published
        if kept.sum() == before:
            return kept


def _pruned(skeleton: np.ndarray) -> np.ndarray:
    """Without short spurs: ends are taken back step by step, and those that are left grow again."""
    eight = np.ones((3, 3), bool)
    kept, steps = skeleton.copy(), 2 * TRACED
    for _ in range(steps):
        ends = kept & (ndimage.convolve(kept.astype(np.int8), np.ones((3, 3), np.int8), mode="constant") <= 2)  # noqa: PLR2004
        if kept.sum() - ends.sum() < steps:
            break
        kept &= ~ends
    ends = kept & (ndimage.convolve(kept.astype(np.int8), np.ones((3, 3), np.int8), mode="constant") <= 2)  # noqa: PLR2004
    return kept | np.asarray(ndimage.binary_dilation(ends, eight, iterations=steps, mask=skeleton))


def written(digit: int, height: int, pen: float, generator: np.random.Generator) -> np.ndarray:
    """A digit written stroke by stroke, with an unsteady hand.

    Args:
        height: in pixels.
        pen: its width, a share of the height.
        generator: of the way of writing, and of how unsteady it is.
    """
    tall = 360
    ways = WRITTEN[digit]
    way = ways[int(generator.integers(len(ways)))]
    stretch = generator.uniform(0.5, 0.75) * tall
    slant = generator.normal(0, 0.12)
    shaken = {point: generator.normal(0, 0.025, 2) for stroke in way for point in stroke}
    canvas = Image.new("L", (tall * 2, tall * 2), 0)
    drawing = ImageDraw.Draw(canvas)
    radius = pen * tall / 2
    for stroke in way:
        points = np.array([np.array(point) + shaken[point] for point in stroke])
        for across, down in _smooth(points):
            x = tall / 2 + across * stretch - slant * (down - 0.5) * tall
            y = tall / 2 + down * (tall - 2 * radius)
            drawing.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return _cut(np.asarray(canvas, np.float32) / 255, height)


def belongs_to_report(family: str) -> bool:
    """Which half a font family is of: the DejaVu fonts are tuned on, all others reported on."""
    return not family.startswith("DejaVu")


@cache
def _basis(count: int) -> np.ndarray:
    return np.linspace(0, 1, count)


def _smooth(points: np.ndarray) -> np.ndarray:
    """Many points on the Catmull-Rom spline through a few."""
    if len(points) == 2:  # noqa: PLR2004 - a straight stroke
        return np.asarray(points[0] + _basis(200)[:, None] * (points[1] - points[0]))
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    parts = []
    for before, start, end, after in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        t = _basis(120)[:, None]
        parts.append(
            0.5
            * (
                2 * start
                + (end - before) * t
                + (2 * before - 5 * start + 4 * end - after) * t**2
                + (3 * start - before - 3 * end + after) * t**3
            )
        )
    return np.concatenate(parts)


def _cut(coverage: np.ndarray, height: int) -> np.ndarray:
    """To its box, and to a height."""
    rows, columns = np.flatnonzero(coverage.max(axis=1) > 0), np.flatnonzero(coverage.max(axis=0) > 0)
    cut = Image.fromarray(coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    width = max(1, round(cut.width * height / cut.height))
    how = Image.Resampling.BOX if height < cut.height else Image.Resampling.BICUBIC
    return np.asarray(np.clip(np.asarray(cut.resize((width, height), how), np.float32), 0, 1))
