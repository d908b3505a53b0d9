"""Load a dataset from a source: a catalog name, or a user's own images as a folder, table, arrays or IDX files."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from eyespot.data.cache import CHUNK, CachedPixels, cached_pixels, read_headers
from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset, Origin, RowView, SkippedFile, Split
from eyespot.data.formats.arrays import ImagesWithClassNames, read_arrays
from eyespot.data.formats.binary import idx_images, read_idx_pairs
from eyespot.data.formats.folder import list_folder, read_class_names, rename_classes
from eyespot.data.formats.listing import Listing
from eyespot.data.formats.table import FORMATS, is_pixel_table, list_tables, read_pixel_table, tables_in
from eyespot.data.in_memory import GREYEST, common_size, in_order
from eyespot.data.parallel import map_in_processes
from eyespot.data.picture import InputForm, Limits, PictureHeader, read_picture
from eyespot.errors import DataError, PictureError, counted, unknown
from eyespot.output import console_for, printing_to
from eyespot.progress_bars import progress_bars
from eyespot.recipe.data_recipe import PicturesRecipe
from eyespot.recipe.effects import SourceKind, check_effect_on_source
from eyespot.recipe.schema import Recipe

SAMPLE = 1_000  # images whose headers are read
COLOR_SAMPLE = 64  # images whose colours are looked at
COLOR_SIDE = 32
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"})


Source = str | Path | Dataset | tuple[Any, ...]


def load(
    source: Source = "digits",
    pictures: PicturesRecipe | None = None,
    *,
    verbose: int = 1,
    own_first: bool = True,
) -> Dataset:
    """Read a dataset.

    Args:
        source: a path to the user's own images (a folder, a table, arrays, IDX files); a catalog name (`digits`,
            `mnist`, …); a `Dataset`; or what `Dataset.from_arrays` takes: `(images, labels)`, or
            `((images, labels), (test_images, test_labels))` as `keras.datasets` has it.
        pictures: how own images are read.
        verbose: 0 prints nothing, 1 shows progress on a terminal.
        own_first: what a user names is a path that exists before it is a catalog name; what a recipe or a run names is
            the other way round, so that it means the same in every working directory.

    Raises:
        DataError: there is no such dataset (the nearest name is suggested), or its files are malformed.
        DownloadError: it is not on this machine and cannot be fetched.
    """
    console = console_for(verbose)
    if isinstance(source, Dataset):
        return source
    if isinstance(source, tuple):
        return from_pair(source)
    if not own_first and source in CATALOG:
        return _public(str(source), console)
    if is_path(source):
        return load_own(Path(source), pictures or PicturesRecipe(), console)
    if isinstance(source, Path) or looks_like_path(source):
        raise DataError(f"There is no file or folder {source}.")
    if source not in CATALOG:
        raise DataError(unknown("dataset", source, CATALOG))
    return _public(source, console)


def from_pair(source: tuple[Any, ...], class_names: Sequence[str] | None = None) -> Dataset:
    """Make a dataset of `(images, labels)`, or of two such pairs: training and test data.

    Raises:
        DataError: as of `Dataset.from_arrays`.
    """
    if len(source) != 2:  # noqa: PLR2004 - a pair
        raise DataError(f"Arrays come as (images, labels); received a tuple of {len(source)}.")
    if isinstance(source[0], tuple) and isinstance(source[1], tuple):
        return Dataset.from_arrays(*source[0], test=source[1], class_names=class_names)
    return Dataset.from_arrays(*source, class_names=class_names)


def _public(name: str, console: Console) -> Dataset:
    with printing_to(console):  # a download's bar is as silent
        return replace(CATALOG[name].read(), public=True)


def kind_of_source(source: Source, *, own_first: bool = True) -> SourceKind | None:
    """Return what `load` reads a source as; None where it is nothing that it reads."""
    if isinstance(source, Dataset | tuple):
        return "dataset"
    if source in CATALOG and not (own_first and is_path(source)):
        return "dataset"
    return kind_of_files(Path(source)) if is_path(source) else None


def check_reading(recipe: Recipe, stated: Collection[str], source: Source, *, own_first: bool = True) -> None:
    """Check that each setting of how images are read has an effect on a source, where a call states it.

    Raises:
        UsageError: for the first that has none.
    """
    if kind := kind_of_source(source, own_first=own_first):
        name = "what is given as arrays" if isinstance(source, tuple) else str(getattr(source, "name", source))
        check_effect_on_source(recipe, stated, name, kind)


def kind_of_files(path: Path) -> SourceKind | None:
    """Return what a user's own images are, recognised by the contents; None where they are no images."""
    if idx_images(path):
        return "IDX files"
    if path.is_dir():
        return "arrays" if any(path.glob("*.npy")) else "table" if tables_in(path) else "folder"
    if path.suffix in FORMATS:
        return "pixel table" if is_pixel_table(path) else "table"
    return "arrays" if path.suffix in {".npz", ".npy"} else None


def is_path(source: str | Path) -> bool:
    """Whether it is something that exists: own images go before datasets of the same name."""
    return Path(source).exists()


def load_own(path: Path, recipe: PicturesRecipe, console: Console) -> Dataset:
    """Read labelled images from a folder, a table, arrays or IDX files, recognised by the contents.

    Args:
        path: which exists.
        console: where progress is shown.

    Raises:
        DataError: there are no labelled images at `path`; or those there are contradict themselves.
    """
    _check_is_no_run(path)
    match kind_of_files(path):
        case "folder":
            return _from_listing(path, list_folder(path), recipe, console)
        case "table":
            tables = tables_in(path) if path.is_dir() else [path]
            return _from_listing(path, list_tables(tables, recipe, path), recipe, console)
        case "pixel table":
            return _from_arrays(path, {"train": read_pixel_table(path, recipe)}, recipe)
        case "arrays":
            return _from_arrays(path, read_arrays(path, recipe), recipe)
        case "IDX files":
            return _from_arrays(path, read_idx_pairs(idx_images(path)), recipe)
        case _:
            raise DataError(_no_source(path))


def _from_arrays(path: Path, parts: Mapping[str, ImagesWithClassNames], recipe: PicturesRecipe) -> Dataset:
    class_names = next(iter(parts.values())).class_names
    labels = {label for part in parts.values() for label in part.labels if label is not None}
    names, numbers = _classes(labels, class_names, recipe)
    splits, skipped = {}, []
    for name, part in parts.items():
        rows = np.array([row for row, label in enumerate(part.labels) if label is not None], np.int64)
        unlabelled = [row for row, label in enumerate(part.labels) if label is None]
        skipped += [SkippedFile(f"{name}, row {row + 1}", "it has no label") for row in unlabelled]
        class_numbers = np.array([numbers[str(part.labels[row])] for row in rows], np.int64)
        images_of_split = RowView(part.images, rows) if isinstance(part.images, np.memmap) else part.images[rows]
        splits[name] = Split(images_of_split, class_numbers)
    shape = splits["train"].images.shape
    resolved = recipe.model_copy(update={"size": tuple(shape[1:3]), "color": shape[3] == 3})  # noqa: PLR2004
    return Dataset(
        _name(path), names, **splits, origin=Origin(str(path.resolve()), resolved, tuple(skipped)), public=False
    )


def _check_is_no_run(path: Path) -> None:
    if (path / "recipe.yaml").is_file() and (path / "environment.json").is_file():
        raise DataError(f"{path} is a run, not a dataset: predict, evaluate and report take runs; open_run opens one.")


def _no_source(path: Path) -> str:
    if path.suffix.lower() in Image.registered_extensions():
        return f"{path} is one image: name a folder that holds a folder of images for each class."
    if path.suffix.lower() in ARCHIVES:
        return f"{path} is an archive: unpack it, and name the folder."
    return (
        f"{path} is no dataset: expected a folder with a folder of images for each class, a table (.csv, .parquet), "
        "arrays (.npz, .npy) or IDX files."
    )


def _classes(
    labels: set[str], stated: tuple[str, ...] | None, recipe: PicturesRecipe
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Class names in order, and the number of each label."""
    if recipe.class_names:
        file = Path(recipe.class_names)
        names = rename_classes(labels, read_class_names(file), file)
        ordered = tuple(dict.fromkeys(names.values()))
        return ordered, {label: ordered.index(name) for label, name in names.items()}
    ordered = tuple(stated or in_order(labels))
    return ordered, {name: number for number, name in enumerate(ordered)}


def _name(path: Path) -> str:
    """Return the dataset's name, from the name of the file or folder."""
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"^\W+", "", re.sub(r"[^\w .+-]", "_", stem)) or "pictures"


def _from_listing(path: Path, listing: Listing, recipe: PicturesRecipe, console: Console) -> Dataset:
    names, numbers = _classes(listing.labels(), listing.class_names, recipe)
    limits = Limits(recipe.max_bytes, recipe.max_pixels)
    shape, notes = infer_shape(listing, recipe, limits)
    resolved = recipe.model_copy(update={"size": shape[:2], "color": shape[2] == 3})  # noqa: PLR2004
    total = len(listing.entries)
    with progress_bars(console=console) as progress:
        task = progress.add_task(f"Reading {counted(total, 'image')}", total=total)
        form = InputForm(shape, recipe.resize, limits)
        cached = cached_pixels(listing, form, lambda done: progress.update(task, completed=done))
    skipped = [
        *listing.skipped,
        *(SkippedFile(listing.entries[row].file, fault) for row, fault in cached.faults.items()),
    ]
    if cached.animated:
        notes.append(_note_on_animations(cached.animated))
    origin = Origin(str(path.resolve()), resolved, tuple(skipped), (*listing.notes, *notes))
    splits = _splits(listing, cached, numbers)
    if "train" not in splits:
        raise DataError(f"{path}: none of its training images can be read: {skipped[0].file}: {skipped[0].reason}.")
    return Dataset(_name(path), names, **splits, origin=origin, public=False)


def infer_shape(listing: Listing, recipe: PicturesRecipe, limits: Limits) -> tuple[tuple[int, int, int], list[str]]:
    """Height, width and channels, and the notes for the user about them.

    The commonest size of the images, scaled down where it is large; grey where all images are. Of many images, a
    sample at equal distances is looked at.

    Raises:
        DataError: no image can be opened.
    """
    if recipe.size and recipe.color is not None:
        return (*recipe.size, 3 if recipe.color else 1), []
    total = len(listing.entries)
    rows = np.unique(np.linspace(0, total - 1, min(total, SAMPLE)).astype(int)).tolist()
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    parts = dict(map_in_processes(lambda number: read_headers(listing.read(chunks[number]), limits), len(chunks)))
    headers = [header for number in sorted(parts) for header in parts[number]]
    readable = [(row, header) for row, header in zip(rows, headers, strict=True) if header]
    if not readable:
        raise DataError(f"{listing.path} holds {counted(total, 'image')}, but none that can be opened.")
    size, notes = _size(recipe, [header for _, header in readable], total)
    color = recipe.color if recipe.color is not None else _has_colors(listing, readable, limits)
    return (*size, 3 if color else 1), notes


def _size(recipe: PicturesRecipe, headers: Sequence[PictureHeader], total: int) -> tuple[tuple[int, int], list[str]]:
    """Return (height, width), and the notes for the user."""
    if recipe.size:
        return recipe.size, []
    counts = Counter((header.height, header.width) for header in headers)
    (height, width), count = counts.most_common(1)[0]
    among = "images" if len(headers) == total else f"{len(headers):,} images looked at"
    verb = "is" if count == 1 else "are"
    several = f"{count:,} of {len(headers):,} {among} {verb} {height}x{width}" if len(counts) > 1 else ""
    size = common_size(counts)
    if size == (height, width):
        return size, [f"All are brought to {height}x{width}: {several}."] if several else []
    reason = several or f"they are {height}x{width}"
    return size, [f"All are brought to {size[0]}x{size[1]}: {reason}. `pictures.size` sets another."]


def _has_colors(listing: Listing, headers: Sequence[tuple[int, PictureHeader]], limits: Limits) -> bool:
    """Whether any image shows colours; one stored in colour may be grey all the same."""
    rows = [row for row, header in headers if not header.grey]
    sample: list[Path | bytes] = list(listing.read(rows[:: max(1, len(rows) // COLOR_SAMPLE)][:COLOR_SAMPLE]))
    for source in sample:
        try:
            pixels = read_picture(source, (COLOR_SIDE, COLOR_SIDE, 3), limits=limits).astype(np.int16)
        except PictureError:
            continue  # decoding reports it
        if np.ptp(pixels, axis=2).mean() > GREYEST:
            return True
    return False


def _note_on_animations(number: int) -> str:
    if number == 1:
        return "1 of the images is an animation: its first frame is taken."
    return f"{number:,} of the images are animations: the first frame of each is taken."


def _splits(listing: Listing, cached: CachedPixels, numbers: Mapping[str, int]) -> dict[str, Split]:
    splits = {}
    for name in ("train", "validation", "test"):
        rows = [row for row, entry in enumerate(listing.entries) if entry.split == name and row not in cached.faults]
        if rows:
            index = np.array(rows, np.int64)
            labels = np.array([numbers[listing.entries[row].label] for row in rows], np.int64)
            files = tuple(listing.entries[row].file for row in rows)
            splits[name] = Split(RowView(cached.pixels, index), labels, files, cached.sizes[index])
    return splits


def looks_like_path(source: str) -> bool:
    """Whether a source is written as a path, which is no dataset's name."""
    return "/" in source or "\\" in source or bool(Path(source).suffix)
