"""Photographs of digits on paper, made up: every condition is drawn and named, so that each can be counted.

What is written (font, traced MNIST test digit, strokes by rule), with which pen, on which paper, in which light, how
large, turned and seen at a slant, and with what camera.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import photo_ink
from PIL import Image, ImageDraw
from scipy import ndimage

PENS = {
    "blue ball pen": ((30, 50, 150), (0.03, 0.06)),
    "black ball pen": ((35, 35, 40), (0.03, 0.06)),
    "red ball pen": ((190, 40, 50), (0.03, 0.06)),
    "black felt pen": ((20, 20, 22), (0.09, 0.17)),
    "blue felt pen": ((30, 60, 170), (0.09, 0.17)),
    "green felt pen": ((30, 120, 70), (0.07, 0.14)),
    "pencil": ((115, 115, 118), (0.03, 0.06)),
    "faint pencil": ((160, 160, 162), (0.03, 0.05)),
}
CHALKS = {"white chalk": ((225, 225, 220), (0.06, 0.13)), "yellow chalk": ((230, 215, 130), (0.06, 0.13))}
PAPERS = {
    "white": (240, 240, 240),
    "yellowish": (236, 222, 180),
    "grey recycled": (196, 194, 188),
    "textured": (228, 224, 216),
    "ruled": (240, 240, 238),
    "squared": (242, 242, 240),
}
BOARDS = {"blackboard": (48, 52, 50), "green board": (44, 78, 62)}
LIGHTS = ("even", "gradient", "vignette", "lamp", "shadow of a hand", "dim")
CAMERAS = ("clean", "blurred", "moved", "noisy", "JPEG 30")
SURROUNDINGS = ("paper only", "table visible")
SHAPES = ((4, 3), (3, 4), (1, 1))
SIZES = ((0.15, 0.25), (0.25, 0.5), (0.5, 0.8))


@dataclass(frozen=True, eq=False)
class Photograph:
    """One made-up photograph.

    Attributes:
        image: RGB.
        digits: what is written on it, from the left.
        conditions: name and value of each.
    """

    image: Image.Image
    digits: tuple[int, ...]
    conditions: dict[str, str]

    def jpeg(self, quality: int = 92) -> bytes:
        """As a file."""
        content = io.BytesIO()
        self.image.save(content, "JPEG", quality=quality)
        return content.getvalue()


@dataclass(frozen=True, eq=False)
class Sources:
    """What may be written: fonts' files, and MNIST's pictures with their labels."""

    fonts: dict[str, list[Path]]
    images: np.ndarray
    labels: np.ndarray


def photograph(generator: np.random.Generator, sources: Sources, source: str, digits: int = 1) -> Photograph:
    """Makes one photograph; all of it follows from the generator."""
    board = generator.random() < 0.15  # noqa: PLR2004
    papers, pens = (BOARDS, CHALKS) if board else (PAPERS, PENS)
    paper, pen = _pick(generator, papers), _pick(generator, pens)
    light, camera = _pick(generator, LIGHTS), _pick(generator, CAMERAS)
    around = "board only" if board else _pick(generator, SURROUNDINGS)
    longest = round(float(np.exp(generator.uniform(np.log(200), np.log(2000)))))
    shape = SHAPES[int(generator.integers(len(SHAPES)))]
    width, height = (round(longest * side / max(shape)) for side in shape)
    low, high = SIZES[int(generator.integers(len(SIZES)))] if digits == 1 else (0.15, 0.35)
    share = float(generator.uniform(low, high))
    coverage, labels, family = _writing(
        generator, sources, source, digits, max(12, round(share * height)), pens[pen][1]
    )
    coverage = _turned(coverage, float(generator.uniform(-12, 12)))
    coverage = _fitted(coverage, 0.86 * width, 0.86 * height)
    scene = _paper(generator, paper, papers[paper], (height, width))
    scene = _inked(generator, scene, coverage, pens[pen][0], grained="pencil" in pen or "chalk" in pen)
    scene = _seen(generator, scene, around)
    scene = _lit(generator, scene, light)
    image = _taken(generator, scene, camera)
    smallest = min(photo for photo in (width, height))
    conditions = {
        "written": source, "font": family, "pen": pen, "paper": paper, "light": light, "camera": camera,
        "surroundings": around, "height": f"{low:.0%} to {high:.0%} of the frame",
        "resolution": "below 400 px" if smallest < 400 else "400 to 1,000 px" if smallest < 1000 else "above 1,000 px",  # noqa: PLR2004
        "digit": str(labels[0]) if digits == 1 else "several",
    }  # fmt: skip
    return Photograph(image, labels, conditions)


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape, np.float32)


def _pick(generator: np.random.Generator, names: object) -> str:
    known = list(names)  # type: ignore[call-overload]
    return str(known[int(generator.integers(len(known)))])


def _writing(  # noqa: PLR0913, PLR0917
    generator: np.random.Generator,
    sources: Sources,
    source: str,
    digits: int,
    height: int,
    pen_range: tuple[float, float],
) -> tuple[np.ndarray, tuple[int, ...], str]:
    """Coverage of one digit, or of several in a row."""
    pen = max(float(generator.uniform(*pen_range)), min(1.6 / height, 0.12))
    family, font, parts, labels = "-", None, [], []
    if source == "font":
        family = _pick(generator, sources.fonts)
        files = sources.fonts[family]
        font = files[int(generator.integers(len(files)))]
    for _ in range(digits):
        tall = round(height * (1 if digits == 1 else generator.uniform(0.9, 1.1)))
        if source == "MNIST":
            row = int(generator.integers(len(sources.labels)))
            digit = int(sources.labels[row])
            part = photo_ink.traced(sources.images[row], tall, pen)
        else:
            digit = int(generator.integers(10))
            part = photo_ink.glyph(digit, font, tall) if font else photo_ink.written(digit, tall, pen, generator)
        parts.append(part)
        labels.append(digit)
    line = max(part.shape[0] for part in parts)
    padded: list[np.ndarray] = []
    for part in parts:
        gap = round(height * generator.uniform(0.3, 0.6)) if padded else 0
        padded.append(np.pad(part, ((line - part.shape[0], 0), (gap, 0))))
    return np.concatenate(padded, axis=1), tuple(labels), family


def _turned(coverage: np.ndarray, degrees: float) -> np.ndarray:
    image = Image.fromarray(coverage).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    return np.clip(np.asarray(image, np.float32), 0, 1)


def _fitted(coverage: np.ndarray, width: float, height: float) -> np.ndarray:
    """Made smaller where it would not fit."""
    factor = min(1.0, width / coverage.shape[1], height / coverage.shape[0])
    if factor == 1:
        return coverage
    size = (max(1, int(coverage.shape[1] * factor)), max(1, int(coverage.shape[0] * factor)))
    return np.asarray(Image.fromarray(coverage).resize(size, Image.Resampling.BOX), np.float32)


def _paper(generator: np.random.Generator, name: str, colour: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    """Reflectance in [0, 1], [height, width, 3]."""
    height, width = shape
    scene = np.ones((height, width, 3), np.float32) * (np.array(colour, np.float32) / 255)
    longest = max(shape)
    if name in {"textured", "grey recycled"} or "board" in name:
        fine = ndimage.gaussian_filter(_normal(generator, shape), max(0.8, longest / 700))
        wide = ndimage.zoom(_normal(generator, (9, 9)), (height / 9, width / 9), order=1)[:height, :width]
        scene *= (1 + 0.03 * fine / fine.std() + (0.08 if "board" in name else 0.015) * wide)[..., None].astype(
            np.float32
        )
    if name in {"ruled", "squared"}:
        lines = Image.new("L", (width, height), 0)
        drawing = ImageDraw.Draw(lines)
        thick = max(1, round(longest * generator.uniform(0.001, 0.003)))
        apart = longest * (generator.uniform(0.07, 0.14) if name == "ruled" else generator.uniform(0.04, 0.09))
        slope = float(np.tan(np.radians(generator.uniform(-6, 6))))
        for place in np.arange(-longest, 2 * longest, apart):
            drawing.line([(0, place), (width, place + slope * width)], fill=255, width=thick)
            if name == "squared":
                drawing.line([(place, 0), (place - slope * height, height)], fill=255, width=thick)
        blue = np.array([generator.uniform(0.45, 0.75), generator.uniform(0.6, 0.8), 0.85], np.float32)
        cover = np.asarray(lines, np.float32)[..., None] / 255
        scene = scene * (1 - cover) + scene * blue * cover
    return scene


def _inked(
    generator: np.random.Generator, scene: np.ndarray, coverage: np.ndarray, colour: tuple[int, ...], *, grained: bool
) -> np.ndarray:
    height, width = scene.shape[:2]
    tall, broad = coverage.shape
    margin = 0.05
    top = round(float(generator.uniform(margin * height, max(margin * height, (1 - margin) * height - tall))))
    left = round(float(generator.uniform(margin * width, max(margin * width, (1 - margin) * width - broad))))
    full = np.zeros((height, width), np.float32)
    full[top : top + tall, left : left + broad] = coverage[: height - top, : width - left]
    if grained:
        grain = ndimage.gaussian_filter(_normal(generator, full.shape), max(0.6, tall / 150))
        full *= np.clip(0.85 + 0.25 * grain / grain.std(), 0.25, 1).astype(np.float32)
    else:
        full *= generator.uniform(0.85, 1.0)
    return scene * (1 - full[..., None]) + (np.array(colour, np.float32) / 255) * full[..., None]


def _seen(generator: np.random.Generator, scene: np.ndarray, around: str) -> np.ndarray:
    """From a slant; with a table behind the paper, whose edge then shows."""
    height, width = scene.shape[:2]
    table = np.array(
        ((0.35, 0.24, 0.15), (0.15, 0.15, 0.17), (0.62, 0.5, 0.36))[int(generator.integers(3))], np.float32
    )
    visible = around == "table visible"
    inward = generator.uniform(0.0, 0.06, (4, 2)) if visible else -generator.uniform(0.0, 0.05, (4, 2))
    signs = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    size = np.array([width, height])
    seen = (corners + signs * inward) * size
    weights = _perspective(seen, corners * size)
    image = Image.fromarray(np.round(np.clip(scene, 0, 1) * 255).astype(np.uint8))
    moved = np.asarray(image.transform((width, height), Image.Transform.PERSPECTIVE, weights, Image.Resampling.BICUBIC))
    mask = Image.new("L", (width, height), 255).transform(
        (width, height), Image.Transform.PERSPECTIVE, weights, Image.Resampling.BILINEAR
    )
    cover = np.asarray(mask, np.float32)[..., None] / 255
    grain = ndimage.gaussian_filter1d(_normal(generator, (height, width)), max(1.0, width / 25), axis=1)
    behind = table * (1 + 0.06 * grain / grain.std())[..., None]
    return np.asarray(moved.astype(np.float32) / 255 * cover + behind * (1 - cover), np.float32)


def _perspective(there: np.ndarray, here: np.ndarray) -> list[float]:
    """Pillow's eight coefficients of the transform under which the corners `there` show what is at `here`."""
    rows, goals = [], []
    for (x, y), (u, v) in zip(there, here, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        goals += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows), np.array(goals))]


def _lit(generator: np.random.Generator, scene: np.ndarray, light: str) -> np.ndarray:
    height, width = scene.shape[:2]
    down, across = np.meshgrid(
        np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32), indexing="ij"
    )
    turn = generator.uniform(0, 2 * np.pi)
    along = np.cos(turn) * across + np.sin(turn) * down
    level: np.ndarray = np.full((height, width), 0.98)
    if light == "gradient":
        level = 0.72 + generator.uniform(0.15, 0.28) * along
    elif light == "vignette":
        level = 1 - generator.uniform(0.25, 0.5) * (across**2 + down**2) / 2
    elif light == "lamp":
        x, y = generator.uniform(-0.8, 0.8, 2)
        level = 0.45 + 0.55 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / generator.uniform(0.6, 1.5))
    elif light == "shadow of a hand":
        edge = (
            along + 0.15 * np.sin(3 * across + turn) + 0.12 * np.sin(5 * down + 2 * turn) - generator.uniform(-0.4, 0.4)
        )
        level = 1 - generator.uniform(0.3, 0.55) / (1 + np.exp(-edge / generator.uniform(0.015, 0.12)))
    elif light == "dim":
        level = np.full((height, width), generator.uniform(0.35, 0.5)) + 0.06 * along
    warm = np.array([1.0, generator.uniform(0.92, 1.0), generator.uniform(0.8, 1.0)], np.float32)
    return np.clip(scene * level[..., None].astype(np.float32) * warm, 0, 1)


def _taken(generator: np.random.Generator, scene: np.ndarray, camera: str) -> Image.Image:
    longest = max(scene.shape[:2])
    sigma, noise, quality = 0.4, 0.006, int(generator.integers(75, 96))
    if camera == "blurred":
        sigma = max(0.8, longest * generator.uniform(0.0015, 0.004))
    elif camera == "noisy":
        noise = generator.uniform(0.03, 0.07)
    elif camera == "JPEG 30":
        quality = 30
    seen = np.stack([ndimage.gaussian_filter(scene[..., channel], sigma) for channel in range(3)], axis=-1)
    if camera == "moved":
        seen = ndimage.uniform_filter1d(
            seen, max(3, round(longest * generator.uniform(0.005, 0.012))), axis=int(generator.integers(2))
        )
    seen = seen + np.float32(noise) * _normal(generator, scene.shape)
    image = Image.fromarray(np.round(np.clip(seen, 0, 1) * 255).astype(np.uint8))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(io.BytesIO(content.getvalue())).convert("RGB")
