"""A user's own pictures, in whatever form, as a dataset."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from eyespot.data.cache.pixels import Cached, cached_pixels
from eyespot.data.cache.shape import infer_shape
from eyespot.data.dataset import Dataset, Origin, Skipped, Split
from eyespot.data.picture import Form, Limits
from eyespot.data.rows import Rows
from eyespot.data.sources.array_values import Labelled
from eyespot.data.sources.arrays import read_arrays
from eyespot.data.sources.class_names import read_class_names, renamed
from eyespot.data.sources.folder import list_folder
from eyespot.data.sources.idx_pairs import idx_images, read_idx_pairs
from eyespot.data.sources.listing import Listing, in_order
from eyespot.data.sources.pixel_table import is_pixel_table, read_pixel_table
from eyespot.data.sources.table import list_tables, tables_in
from eyespot.data.sources.table_file import FORMATS
from eyespot.errors import DataError
from eyespot.recipe_parts import PicturesRecipe

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"})


def read_own(path: Path, wanted: PicturesRecipe, console: Console) -> Dataset:
    """Reads labelled pictures from a folder, a table, arrays or IDX files, told apart by what is there.

    Args:
        path: which exists.
        console: where progress is shown.

    Raises:
        DataError: there are no labelled pictures at `path`; or those there are contradict themselves.
    """
    listing = _listing(path, wanted)
    return _from_arrays(path, wanted) if listing is None else _from_listing(path, listing, wanted, console)


def _listing(path: Path, wanted: PicturesRecipe) -> Listing | None:
    """The files or rows to decode; None where the source holds pixels already."""
    if path.is_dir():
        if idx_images(path) or any(path.glob("*.npy")):
            return None
        tables = tables_in(path)
        return list_tables(tables, wanted, path) if tables else list_folder(path)
    if path.suffix in FORMATS and not is_pixel_table(path):
        return list_tables([path], wanted, path)
    return None


def _from_arrays(path: Path, wanted: PicturesRecipe) -> Dataset:
    if images := idx_images(path):
        found: Mapping[str, Labelled] = read_idx_pairs(images)
    elif path.is_dir() or path.suffix in {".npz", ".npy"}:
        found = read_arrays(path, wanted)
    elif path.suffix in {".csv", ".tsv"}:
        found = {"train": read_pixel_table(path, wanted)}
    else:
        raise DataError(_no_source(path))
    stated = next(iter(found.values())).class_names
    labels = {label for part in found.values() for label in part.labels if label is not None}
    names, numbers = _classes(labels, stated, wanted)
    splits, skipped = {}, []
    for name, part in found.items():
        rows = np.array([row for row, label in enumerate(part.labels) if label is not None], np.int64)
        unlabelled = [row for row, label in enumerate(part.labels) if label is None]
        skipped += [Skipped(f"{name}, row {row + 1}", "it has no label") for row in unlabelled]
        classed = np.array([numbers[str(part.labels[row])] for row in rows], np.int64)
        images_here = Rows(part.images, rows) if isinstance(part.images, np.memmap) else part.images[rows]
        splits[name] = Split(images_here, classed)
    first = splits["train"].images.shape
    settled = wanted.model_copy(update={"size": tuple(first[1:3]), "color": first[3] == 3})  # noqa: PLR2004
    return Dataset(
        _name(path), names, **splits, origin=Origin(str(path.resolve()), settled, tuple(skipped)), public=False
    )


def _from_listing(path: Path, listing: Listing, wanted: PicturesRecipe, console: Console) -> Dataset:
    names, numbers = _classes(listing.labels(), listing.class_names, wanted)
    limits = Limits(wanted.max_bytes, wanted.max_pixels)
    shape, notes = infer_shape(listing, wanted, limits)
    settled = wanted.model_copy(update={"size": shape[:2], "color": shape[2] == 3})  # noqa: PLR2004
    total = len(listing.entries)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"Reading {total:,} pictures", total=total)
        form = Form(shape, wanted.resize, limits)
        cached = cached_pixels(listing, form, lambda done: progress.update(task, completed=done))
    skipped = [*listing.skipped, *(Skipped(listing.entries[row].file, fault) for row, fault in cached.faults.items())]
    if cached.animated:
        notes.append(f"{cached.animated:,} of the pictures are animations: the first frame of each is taken.")
    if skipped:
        notes.append(_told(skipped))
    origin = Origin(str(path.resolve()), settled, tuple(skipped), (*listing.notes, *notes))
    splits = _splits(listing, cached, numbers)
    if "train" not in splits:
        raise DataError(f"{path}: none of its training pictures can be read: {skipped[0].file}: {skipped[0].reason}.")
    return Dataset(_name(path), names, **splits, origin=origin, public=False)


def _splits(listing: Listing, cached: Cached, numbers: Mapping[str, int]) -> dict[str, Split]:
    splits = {}
    for name in ("train", "validation", "test"):
        rows = [row for row, entry in enumerate(listing.entries) if entry.split == name and row not in cached.faults]
        if rows:
            index = np.array(rows, np.int64)
            labels = np.array([numbers[listing.entries[row].label] for row in rows], np.int64)
            files = tuple(listing.entries[row].file for row in rows)
            splits[name] = Split(Rows(cached.pixels, index), labels, files, cached.sizes[index])
    return splits


def _classes(
    labels: set[str], stated: tuple[str, ...] | None, wanted: PicturesRecipe
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Class names in order, and the number of each label."""
    if wanted.class_names:
        file = Path(wanted.class_names)
        names = renamed(labels, read_class_names(file), file)
        ordered = tuple(dict.fromkeys(names.values()))
        return ordered, {label: ordered.index(name) for label, name in names.items()}
    ordered = tuple(stated or in_order(labels))
    return ordered, {name: number for number, name in enumerate(ordered)}


def _name(path: Path) -> str:
    """What runs are called after, from the file's or folder's name."""
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"^\W+", "", re.sub(r"[^\w .+-]", "_", stem)) or "pictures"


def _told(skipped: Sequence[Skipped]) -> str:
    """How many files are left out, and the commonest reason."""
    first = skipped[0]
    more = f", and {len(skipped) - 1:,} more" if len(skipped) > 1 else ""
    return f"{len(skipped):,} files are left out: {first.file} ({first.reason}){more}. eyespot look lists all."


def _no_source(path: Path) -> str:
    if path.suffix.lower() in Image.registered_extensions():
        return f"{path} is one picture: name a folder that holds a folder of pictures for each class."
    if path.suffix.lower() in ARCHIVES:
        return f"{path} is an archive: unpack it, and name the folder."
    return (
        f"{path} is no dataset: expected a folder with a folder of pictures for each class, a table (.csv, .parquet), "
        "arrays (.npz, .npy) or IDX files."
    )
