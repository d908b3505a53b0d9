"""Isolate the objects of a photograph, and render them as the training images are, step by step."""

import numpy as np
from PIL import Image
from scipy import ndimage

from eyespot.preprocessing.appearance import Appearance
from eyespot.preprocessing.light import background_of, grain_of, inkiness, is_lighter, noise_of, surface_of
from eyespot.preprocessing.objects import DetectedObject, find_objects, ink_mask
from eyespot.preprocessing.render import render_object
from eyespot.preprocessing.ruled_lines import remove_lines
from eyespot.shapes import Float32, Shaped, UInt8

FRAME_LINES = 160  # lines side by side fill the picture: that thick they are seen where it is drawn small
LONGEST = 800  # pixels a photograph is worked at
SHORTEST = 400  # of the long side: smaller ones are enlarged, so that strokes have some pixels
SMOOTHED = 0.7  # pixels: grain and JPEG's blocks, not strokes
Box = tuple[int, int, int, int]
PreprocessingStep = tuple[str, Shaped[np.ndarray, "..."]]


def isolate_objects(
    picture: Image.Image, appearance: Appearance, input_shape: tuple[int, int, int], *, each: bool
) -> tuple[list[UInt8[np.ndarray, "height width channels"]], list[Box], str | None, list[PreprocessingStep]] | None:
    """Find the objects of a photograph, and render the main one, or each, as a training image.

    Returns:
        The images, each object's box, a note for the user, and the picture after each step; see
        `pipeline.Reading`. None: there is no object.
    """
    grey = _working_grey(picture)
    smooth = ndimage.gaussian_filter(grey, SMOOTHED)
    lighter = is_lighter(smooth)
    background = background_of(smooth, lighter=lighter) if appearance.drawn else surface_of(smooth)
    ink = inkiness(smooth, background, lighter=lighter)
    steps: list[PreprocessingStep] = [
        ("grey", _shown(grey)),
        (f"{'light' if lighter else 'dark'} on its background, light made even", _shown(1 - ink)),
    ]
    if appearance.drawn:
        ink, lines = remove_lines(ink, grain_of(ink))
        if lines.any():
            steps.append(("ruled lines taken out", _shown(1 - ink)))
    mask = ink_mask(ink, noise_of(ink))
    steps.append(("ink", _shown(1 - mask.astype(np.float32))))
    objects, main_index = find_objects(mask, ink)
    if not objects:
        return None
    selected = objects if each else [objects[main_index]]
    images = [render_object(ink, detected, appearance, input_shape[:2]) for detected in selected]
    steps.append((_count(len(objects)), _marked(grey, objects, main_index)))
    steps += [("as the training images", image) for image in images]
    scale = picture.width / grey.shape[1]
    full = [np.repeat(image[..., None], input_shape[2], axis=2) for image in images]
    return full, [_box(detected, scale) for detected in selected], _note(len(objects), each=each), steps


def _shown(values: Float32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    levels: UInt8[np.ndarray, "height width"] = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return levels


def _count(count: int) -> str:
    return "the object" if count == 1 else f"{count} objects"


def _marked(
    grey: Float32[np.ndarray, "height width"], objects: list[DetectedObject], main_index: int
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with a frame around each object, red around the one that is read."""
    marked = np.repeat(_shown(grey)[..., None], 3, axis=2)
    line = max(2, max(grey.shape) // FRAME_LINES)
    for index, detected in enumerate(objects):
        colour = (220, 60, 40) if index == main_index else (60, 110, 170)
        margin = 2 * line
        rows = slice(max(detected.top - margin, 0), detected.bottom + margin)
        columns = slice(max(detected.left - margin, 0), detected.right + margin)
        inner = marked[rows, columns]
        inner[:line] = inner[-line:] = inner[:, :line] = inner[:, -line:] = colour
    return marked


def _box(detected: DetectedObject, scale: float) -> Box:
    left, top, right, bottom = (
        round(side * scale) for side in (detected.left, detected.top, detected.right, detected.bottom)
    )
    return left, top, right, bottom


def _note(count: int, *, each: bool) -> str | None:
    if count == 1 or each:
        return None
    return f"{count} objects are on it; the most prominent one is read, and `each` reads them all."


def _working_grey(picture: Image.Image) -> Float32[np.ndarray, "height width"]:
    """A picture's grey levels, 0 to 1, with a long side from 400 to 800 pixels."""
    grey = picture.convert("L")
    longest = max(grey.size)
    factor = min(LONGEST / longest, 1.0) * max(SHORTEST / longest, 1.0)
    if factor != 1:
        size = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
        grey = grey.resize(size, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC)
    return np.asarray(grey, np.float32) / np.float32(255)
