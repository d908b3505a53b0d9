"""The images that pages of a run show, kept in the run: `images/`, an index and one sheet of images per split.

With them, pages can be written where the dataset is not at hand. A sheet is a PNG file that a person can look at. Kept
images stay in the run: no export, server or tracking server publishes them.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.data.dataset import Dataset, Split
from eyespot.data.picture import InputForm, Limits, read_with_header
from eyespot.data.pixels import as_pillow
from eyespot.errors import EyespotError
from eyespot.files import replacing, sha256_of
from eyespot.reports.confusion import CAPS
from eyespot.reports.shown_data import MISTAKES, ShownData, class_counts, strip_rows
from eyespot.run import Run
from eyespot.shapes import Int64
from eyespot.workflow.run_data import StoredPredictions, read_predictions

FOLDER, INDEX, FORMAT = "images", "index.json", 1
COLUMNS = 32  # images side by side in a sheet
MOST_BYTES, MOST_IMAGES = 4 << 20, 4096  # of pixels, and of images, in a sheet


def keep_images(run: Run, dataset: Dataset, judged: str) -> None:
    """Keeps training images of each class, and images of each cell of the confusion matrix.

    Args:
        dataset: what the run was measured on.
        judged: the split that the model is judged by; its predictions are in the run.
    """
    wanted = {"train": strip_rows(dataset), judged: _rows_to_keep(read_predictions(run, judged, dataset.class_names))}
    most = min(MOST_IMAGES, MOST_BYTES // int(np.prod(dataset.input_shape)))
    if not most:
        return
    (run.path / FOLDER).mkdir(exist_ok=True)
    index = {
        "format": FORMAT,
        "dataset": dataset.name,
        "image_shape": list(dataset.input_shape),
        "class_counts": class_counts(dataset),
        "judged": judged,
        "complete": all(len(rows) <= most for rows in wanted.values()),
        "sheets": {name: _write_sheet(run, name, dataset.splits[name], rows[:most]) for name, rows in wanted.items()},
    }
    run.write_json(f"{FOLDER}/{INDEX}", index)  # last: it names the sheets by their hashes


def _rows_to_keep(stored: StoredPredictions) -> Int64[np.ndarray, " kept"]:
    """The most confident mistakes, then images of every cell of the confusion matrix in turns.

    Of a cell of mistakes the most confident come first, of a cell of correct predictions the least confident, as in
    `confusion_cells`.
    """
    labels, predictions, confidence = stored.labels, stored.predictions, stored.probabilities.max(axis=1)
    order = np.argsort(np.where(stored.right, confidence, -confidence), kind="stable")
    cells: dict[tuple[int, int], list[int]] = {}
    for row in order.tolist():
        cell = cells.setdefault((int(labels[row]), int(predictions[row])), [])
        if len(cell) < CAPS[0]:
            cell.append(row)
    mistakes = order[~stored.right[order]][:MISTAKES].tolist()
    in_turns = [row for turn in zip_longest(*cells.values()) for row in turn if row is not None]
    return np.array(list(dict.fromkeys([*mistakes, *in_turns])), np.int64)


def _write_sheet(run: Run, name: str, split: Split, rows: Int64[np.ndarray, " kept"]) -> dict[str, Any]:
    """Writes images side by side, and returns what the index says of them."""
    chosen = split.take(rows)
    images = np.asarray(chosen.images)
    count, height, width, channels = images.shape
    columns, lines = _layout(count)
    sheet = np.zeros((lines * columns, height, width, channels), np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(lines, columns, height, width, channels).swapaxes(1, 2)
    path = run.path / FOLDER / f"{name}.png"
    with replacing(path) as temporary:
        as_pillow(sheet.reshape(lines * height, columns * width, channels)).save(temporary, "PNG")
    files = list(chosen.files) if chosen.files else None
    return {"sha256": sha256_of(path), "rows": rows.tolist(), "labels": chosen.labels.tolist(), "files": files}


def _layout(count: int) -> tuple[int, int]:
    """Columns and lines of a sheet."""
    columns = min(count, COLUMNS)
    return columns, -(-count // columns)


def kept_images(run: Run, judged: str, class_names: tuple[str, ...]) -> ShownData | None:
    """The images that a run keeps; None where it keeps none, or they do not fit its predictions or are damaged."""
    try:
        index = json.loads((run.path / FOLDER / INDEX).read_bytes())
        if index["format"] != FORMAT or index["judged"] != judged:
            return None
        shape = tuple(int(side) for side in index["image_shape"])
        counts = {str(name): [int(count) for count in values] for name, values in index["class_counts"].items()}
        if any(len(values) != len(class_names) for values in counts.values()):
            return None
        (train, _), (split, rows) = (
            _read_sheet(run.path / FOLDER, name, index["sheets"][name], shape) for name in ("train", judged)
        )
        if not np.array_equal(read_predictions(run, judged, class_names).labels[rows], split.labels):
            return None
        complete = index["complete"] is True
        return ShownData(str(index["dataset"]), shape, counts, train, split, rows, is_complete=complete)
    except (EyespotError, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _read_sheet(
    folder: Path, name: str, entry: dict[str, Any], shape: tuple[int, ...]
) -> tuple[Split, Int64[np.ndarray, " kept"]]:
    """The images of a sheet, and their rows in the split.

    Raises:
        ValueError: it is not the sheet that the index describes, or it is too large.
    """
    rows, labels = (np.array(entry[key], np.int64) for key in ("rows", "labels"))
    height, width, channels = shape
    count, path = len(rows), folder / f"{name}.png"
    files = [f"#{row}" for row in rows] if entry["files"] is None else [str(file) for file in entry["files"]]
    if (
        not (0 < count <= MOST_IMAGES and min(shape) > 0 and count * height * width * channels <= MOST_BYTES)
        or rows.min() < 0
        or len(files) != count
    ):
        raise ValueError(name)
    if sha256_of(path) != entry["sha256"]:
        raise ValueError(path)
    columns, lines = _layout(count)
    form = InputForm(
        (lines * height, columns * width, channels), "squash", Limits(pixels=2 * MOST_BYTES)
    )  # with an unfilled line
    sheet, header = read_with_header(path, form)
    if (header.height, header.width, header.grey) != (*form.shape[:2], channels == 1):
        raise ValueError(path)
    images = sheet.reshape(lines, height, columns, width, channels).swapaxes(1, 2)
    return Split(images.reshape(lines * columns, height, width, channels)[:count], labels, tuple(files)), rows


def together(parts: Sequence[ShownData]) -> ShownData:
    """The images of the judged split that any of several runs keeps, each once."""
    first = parts[0]
    images, labels, files = [], [], []
    seen: dict[int, None] = {}
    for part in parts:
        if part.judged is None:
            continue
        for index, row in enumerate(part.rows.tolist()):
            if row not in seen:
                seen[row] = None
                images.append(part.judged.images[index])
                labels.append(part.judged.labels[index])
                files.append(part.judged.files[index] if part.judged.files else f"#{row}")
    split = Split(np.stack(images), np.array(labels, np.int64), tuple(files))
    return replace(first, judged=split, rows=np.array(list(seen), np.int64))
