"""Figures of a dataset: samples, pixel values, mean images, class counts, and what the audit found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from eyespot.data.audit.duplicates import DuplicatePair, count_pairs
from eyespot.data.audit.outliers import Outlier
from eyespot.data.dataset import Dataset, Split, chunks
from eyespot.errors import counted
from eyespot.evaluation.label_errors import SuspectLabels
from eyespot.figures.style import (
    INK,
    TEST,
    TRAIN,
    VALIDATION,
    TitledPicture,
    hide_axes,
    new_figure,
    picture_grid,
    plot_area,
    save,
    shorten,
    shorten_path,
    show_image,
)
from eyespot.shapes import Shaped, UInt8

SAMPLES = 10
MOST_CLASSES = 100
MIDDLE_GREY = 128
MOST_CELLS = 32  # pixels a side that can still be written out legibly
GAP = 2
PAIRS, ODD, SUSPECTS, COLUMNS = 24, 40, 40, 8
LETTERS_BELOW = 25  # that fit into a line below a tile
STEPS_A_ROW = 4


def draw_look(dataset: Dataset, folder: Path) -> list[Path]:
    """Draws everything `look` draws of a dataset into a folder; returns the files."""
    figures = {
        "samples.png": sample_grid(dataset),
        "pixels.png": pixel_values(dataset),
        "means.png": mean_pictures(dataset),
        "classes.png": class_counts(dataset),
    }
    return [save(figure, folder / name) for name, figure in figures.items()]


def sample_grid(dataset: Dataset, seed: int = 0) -> Figure:
    """Up to ten random training images of each class, a row a class."""
    generator = np.random.default_rng(seed)
    count = min(dataset.classes, MOST_CLASSES)
    rows = []
    for label in range(count):
        members = np.flatnonzero(dataset.train.labels == label)
        rows.append(generator.permutation(members)[:SAMPLES])
    canvas = _mosaic(dataset.train, rows)
    figure = new_figure(1.6 + 0.62 * SAMPLES, 0.7 + 0.62 * count)
    axes = figure.add_subplot()
    show_image(axes, canvas)
    height = dataset.input_shape[0] + GAP
    names = [shorten(name) for name in dataset.class_names[:count]]
    axes.set_yticks([height * (row + 0.5) for row in range(count)], names)
    axes.tick_params(length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    suffix = f" (the first {count} of {dataset.classes} classes)" if count < dataset.classes else ""
    axes.set_title(f"{dataset.name}: training images{suffix}", color=INK, fontsize=11)
    return figure


def _mosaic(split: Split, rows: list[np.ndarray]) -> UInt8[np.ndarray, "height width channels"]:
    """Pictures side by side on white."""
    height, width, channels = split.images.shape[1:]
    canvas = np.full(((height + GAP) * len(rows), (width + GAP) * SAMPLES, channels), 255, np.uint8)
    for row, members in enumerate(rows):
        for column, member in enumerate(members):
            top, left = row * (height + GAP) + GAP // 2, column * (width + GAP) + GAP // 2
            canvas[top : top + height, left : left + width] = split.images[member]
    return canvas


def pixel_values(dataset: Dataset, row: int = 0) -> Figure:
    """One training image with every pixel's value in its cell, white on dark and black on light; a panel a channel.

    Of an image too large to write out, its middle.
    """
    image, label = dataset.train.images[row], dataset.class_names[int(dataset.train.labels[row])]
    height, width, channels = image.shape
    top, left = max(0, (height - MOST_CELLS) // 2), max(0, (width - MOST_CELLS) // 2)
    image = image[top : top + MOST_CELLS, left : left + MOST_CELLS]
    crop_note = ", its middle" if image.shape[:2] != (height, width) else ""
    inches = max(4.0, 0.42 * image.shape[1])
    figure = new_figure(inches * channels, inches * image.shape[0] / image.shape[1] + 0.5)
    for channel in range(channels):
        axes = figure.add_subplot(1, channels, channel + 1)
        values = image[..., channel]
        axes.imshow(values, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        hide_axes(axes)
        for (y, x), value in np.ndenumerate(values):
            colour = "white" if value < MIDDLE_GREY else "black"
            axes.text(x, y, str(value), ha="center", va="center", color=colour, fontsize=8)
        name = f", {('red', 'green', 'blue')[channel]}" if channels > 1 else ""
        axes.set_title(f"training image {row}, label={shorten(label)}{name}{crop_note}", color=INK, fontsize=11)
    return figure


def mean_pictures(dataset: Dataset) -> Figure:
    """The mean training image of each class."""
    count = min(dataset.classes, MOST_CLASSES)
    columns = min(5 if count <= 10 else 10, count)  # noqa: PLR2004 - two rows of five, or rows of ten
    pictures = []
    for label, name in enumerate(dataset.class_names[:count]):
        members = np.flatnonzero(dataset.train.labels == label)
        mean = _mean(dataset.train.take(members)) if len(members) else None
        pictures.append(TitledPicture(mean, shorten(name, 14)))
    return picture_grid(pictures, columns, 1.2)


def _mean(split: Split) -> UInt8[np.ndarray, "height width channels"]:
    total = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in chunks(split.images))
    return np.round(np.asarray(total) / len(split)).astype(np.uint8)


def class_counts(dataset: Dataset) -> Figure:
    """How many images of each class there are, a bar a split."""
    splits = dataset.splits
    colours = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    figure = new_figure(6.4, 1.2 + 0.3 * dataset.classes)
    axes = figure.add_subplot()
    thickness = 0.8 / len(splits)
    positions = np.arange(dataset.classes)
    for index, (name, split) in enumerate(splits.items()):
        bars = axes.barh(
            positions + thickness * (index - (len(splits) - 1) / 2),
            dataset.class_counts(split),
            thickness,
            color=colours[name],
            label=f"{name} ({len(split):,})",
        )
        if len(splits) * dataset.classes <= 60:  # noqa: PLR2004 - above that the figures would touch
            axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=7, color=INK)
    axes.set_yticks(positions, [shorten(name) for name in dataset.class_names])
    axes.invert_yaxis()
    axes.margins(y=0.01, x=0.1)
    plot_area(axes, f"{dataset.name}: images a class", "images", "")
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.06 - 0.9 / (1 + dataset.classes)),
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return figure


def pair_gallery(dataset: Dataset, pairs: Sequence[DuplicatePair]) -> Figure:
    """The first pairs, side by side: how equal they are, their splits, classes and files."""
    pictures = [
        _tile(dataset, side, f"{pair.equality}\n{side[0]}, {_name(dataset, dataset.splits[side[0]].labels[side[1]])}")
        for pair in pairs[:PAIRS]
        for side in (pair.first, pair.second)
    ]
    where = "in two splits" if all(pair.leaks for pair in pairs) else "within a split"
    title = f"{dataset.name}: {count_pairs(pairs)} {where}"
    return _grid(pictures, title, len(pairs), PAIRS)


def suspect_gallery(dataset: Dataset, suspects: SuspectLabels) -> Figure:
    """The images whose labels are the most suspect: what they are called, and what they look like."""
    pictures = [
        _tile(dataset, ("train", row), f"{_name(dataset, label)}\n→ {_name(dataset, suggested)}?")
        for row, label, suggested in zip(
            suspects.rows[:SUSPECTS].tolist(),
            dataset.train.labels[suspects.rows[:SUSPECTS]],
            suspects.suggested[:SUSPECTS],
            strict=True,
        )
    ]
    estimated = f"{suspects.estimated:,} of {counted(len(dataset.train), 'training label')} may be wrong"
    columns = min(COLUMNS, max(4, len(pictures)))
    return picture_grid(pictures, columns, 1.4, f"{dataset.name}: {estimated}; the {len(pictures)} most suspect")


def outlier_gallery(dataset: Dataset, oddities: Sequence[Outlier]) -> Figure:
    """The images that stand out the most, each with its reason, the value and the median."""
    pictures = [_tile(dataset, oddity.place, _reason(oddity)) for oddity in oddities[:ODD]]
    verb = "stands" if len(oddities) == 1 else "stand"
    title = f"{dataset.name}: {counted(len(oddities), 'image')} {verb} out from the others"
    return _grid(pictures, title, len(oddities), ODD)


def _reason(oddity: Outlier) -> str:
    return f"{oddity.reason}\n{oddity.measured}".replace(" (", "\n(")


def _tile(dataset: Dataset, place: tuple[str, int], title: str) -> TitledPicture:
    """An image with its title, and its file or row below."""
    name, row = place
    split = dataset.splits[name]
    where = shorten_path(split.files[row], LETTERS_BELOW) if split.files else f"{name}, row {row}"
    return TitledPicture(np.asarray(split.images[row]), title, below=where)


def _grid(pictures: Sequence[TitledPicture], title: str, number: int, most: int) -> Figure:
    """The tiles of an audit.

    Args:
        number: of images or pairs, in their order.
        most: of these are drawn.
    """
    first = f" (the first {most})" if number > most else ""
    return picture_grid(pictures, min(COLUMNS, max(4, len(pictures))), 1.4, title + first)


def _name(dataset: Dataset, label: int | np.integer) -> str:
    return shorten(dataset.class_names[int(label)], 14)


def steps_figure(name: str, steps: Sequence[tuple[str, Shaped[np.ndarray, "..."]]]) -> Figure:
    """The steps side by side, in order.

    Args:
        name: of the image.
        steps: what was done, and a uint8 image, [height, width] or [height, width, channels].
    """
    pictures = [
        TitledPicture(image, f"{number}. {shorten(title, 44)}") for number, (title, image) in enumerate(steps, start=1)
    ]
    return picture_grid(pictures, min(STEPS_A_ROW, len(steps)), 2.9, shorten(name, 60))
