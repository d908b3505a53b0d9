"""What augmentation does to training images, to look at before training."""

import textwrap

import numpy as np
import torch
from matplotlib.figure import Figure

from eyespot.data.augment.policy import changes_for
from eyespot.data.augment.transforms import augment_batch, draw_step
from eyespot.data.dataset import Dataset
from eyespot.figures.style import INK, new_figure, shorten, show_image
from eyespot.recipe.data_recipe import AugmentationRecipe
from eyespot.shapes import Int64, UInt8

MOST_ROWS = 10
DRAWS = 8
GAP = 1 / 14  # of an image's width, between two; as much again three times after the original
INCHES = 0.75  # an image's width
WIDE = 85  # characters of the title's line


def augmentation_samples(dataset: Dataset, recipe: AugmentationRecipe, seed: int = 0) -> Figure:
    """A training image a row, of up to ten classes: as it is at the left, and eight times as it might be learnt.

    Args:
        recipe: with a policy other than `auto`.
        seed: of the choice of images and of what is drawn.
    """
    changes = changes_for(recipe)
    rows = _one_a_class(dataset, np.random.default_rng(seed))
    split = dataset.train.take(rows)
    originals = np.asarray(split.images)
    images, labels = torch.from_numpy(originals), torch.from_numpy(split.labels)
    augmented = [
        augment_batch(
            images, labels, changes, torch.from_numpy(draw_step(changes, seed, step, len(rows)))
        ).images.numpy()
        for step in range(DRAWS)
    ]
    height, width, _ = dataset.input_shape
    gap = max(1, round(width * GAP))
    title = textwrap.fill(f"{dataset.name}, policy {recipe.policy}: {changes.describe()}", WIDE)
    figure = new_figure(
        1.6 + INCHES * (1 + DRAWS), 0.6 + 0.25 * len(title.splitlines()) + INCHES * len(rows) * height / width
    )
    axes = figure.add_subplot()
    show_image(axes, _rows(originals, augmented, gap))
    names = [shorten(dataset.class_names[label], 16) for label in split.labels]
    axes.set_yticks([(height + gap) * (row + 0.5) for row in range(len(names))], names)
    start = width + 4 * gap
    axes.set_xticks([width / 2, start + (width + gap) * DRAWS / 2], ["as it is", "as it might be learnt"])
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, color=INK, fontsize=10)
    return figure


def _one_a_class(dataset: Dataset, generator: np.random.Generator) -> Int64[np.ndarray, " rows"]:
    present = np.unique(dataset.train.labels)[:MOST_ROWS]
    return np.array([generator.choice(np.flatnonzero(dataset.train.labels == label)) for label in present])


def _rows(
    originals: UInt8[np.ndarray, "n height width channels"], augmented: list[np.ndarray], gap: int
) -> UInt8[np.ndarray, "rows columns channels"]:
    """Pictures side by side on white."""
    count, height, width, channels = originals.shape
    canvas = np.full(((height + gap) * count, (width + gap) * (1 + DRAWS) + 3 * gap, channels), 255, np.uint8)
    for column, images in enumerate([originals, *augmented]):
        left = (width + gap) * column + (3 * gap if column else 0)
        for row, image in enumerate(images):
            top = (height + gap) * row + gap // 2
            canvas[top : top + height, left : left + width] = image
    return canvas
