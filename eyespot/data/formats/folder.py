"""A folder of images: `root/class/*.jpg`, or `root/{train,validation,test}/class/*.jpg`.

A file with class names beside the folders may say what each class is called.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from eyespot.data.dataset import SkippedFile
from eyespot.data.formats.listing import ListedImage, Listing, plain, split_named
from eyespot.data.picture_files import OTHERS, READ_ENDINGS, SENTENCE
from eyespot.errors import DataError, counted, first_line

MACHINE_MADE = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})  # left in folders by other programs


def read_class_names(path: Path) -> dict[str, str]:
    """The class's name for each folder or label, in the file's order.

    Args:
        path: YAML or JSON: a mapping, or a list of names for the labels 0, 1, …; CSV: a line `label,name` each.

    Raises:
        DataError: there is no such file, or it is not that.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            rows = [row for row in csv.reader(text.splitlines()) if row]
            if any(len(row) != 2 for row in rows):  # noqa: PLR2004
                raise DataError(f"{path}: expected two columns a line, label and name.")
            return {plain(label.strip()): plain(name.strip()) for label, name in rows}
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise DataError(f"There is no file of class names at {path}.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read as class names ({first_line(error)}).") from None
    if isinstance(values, list):
        values = dict(enumerate(values))
    if not isinstance(values, dict) or not all(isinstance(name, str | int) for name in values.values()):
        raise DataError(f"{path}: expected a mapping from labels to names, or a list of names.")
    return {plain(str(label)): plain(str(name)) for label, name in values.items()}


def rename_classes(labels: Iterable[str], names: dict[str, str], where: Path) -> dict[str, str]:
    """The mapping for the labels that there are, in the mapping's order.

    Raises:
        DataError: some are not in it.
    """
    present = set(labels)
    missing = sorted(present - set(names))
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""  # noqa: PLR2004
        raise DataError(f"{where} has no name for {', '.join(map(repr, missing[:5]))}{more}: add a line for each.")
    return {label: name for label, name in names.items() if label in present}


def list_folder(root: Path) -> Listing:
    """Find the images below a folder; the first folder below the root, or below a split's, is their class.

    Deeper folders belong to their class. Hidden files are ignored; links are followed within the root only. Where the
    root holds nothing but one folder, as unpacked archives do, that one is taken.

    Raises:
        DataError: there are images, but no class folders to say what they show; or splits beside classes.
    """
    top, notes = _unwrapped(root)
    splits = _split_folders(top)
    entries: list[ListedImage] = []
    skipped: list[SkippedFile] = []
    unclassified: list[str] = []
    for file in _files(top, (), top.resolve(), ()):
        name = "/".join(file.parts)
        ending = name.rpartition(".")[2].lower() if "." in file.parts[-1].lstrip(".") else ""
        folders = file.parts[:-1]
        split, class_folders = (splits[folders[0]], folders[1:]) if splits and folders else ("train", folders)
        if file.fault:
            skipped.append(SkippedFile(name, file.fault))
        elif f".{ending}" in OTHERS:
            skipped.append(SkippedFile(name, f"it is {OTHERS[f'.{ending}']}, which is not read: {SENTENCE}"))
        elif ending and f".{ending}" not in READ_ENDINGS:
            skipped.append(SkippedFile(name, "its name is not that of an image"))
        elif not class_folders:
            unclassified.append(name)
        else:
            entries.append(ListedImage(name, plain(class_folders[0]), split, file.stamp))
    if unclassified and not entries:
        raise DataError(
            f"{top} holds {counted(len(unclassified), 'image')}, but no folders that say what they show: put the "
            "images of each class in a folder of its name."
        )
    skipped += [SkippedFile(name, "it lies in no class's folder") for name in unclassified]
    entries.sort(key=lambda entry: entry.file)

    def read(rows: Sequence[int]) -> list[Path | bytes]:
        return [top / entries[row].file for row in rows]

    return Listing(top, entries, read, skipped, notes=notes)


def _unwrapped(root: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds the classes' or the splits' folders."""
    top = root
    while True:
        items = [item for item in os.scandir(top) if not _is_ignored(item.name)]
        if len(items) != 1 or not items[0].is_dir(follow_symlinks=False):
            break
        children = [item for item in os.scandir(items[0].path) if not _is_ignored(item.name)]
        if not children or not all(item.is_dir() for item in children):
            break
        top = Path(items[0].path)
    return top, (f"{root} holds nothing but {top.name}, whose folders are taken.",) if top != root else ()


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in MACHINE_MADE


def _split_folders(top: Path) -> dict[str, str] | None:
    """The folders that are splits, with the split each is; None where the folders are classes."""
    folders = sorted(item.name for item in os.scandir(top) if item.is_dir() and not _is_ignored(item.name))
    split_by_folder = {name: split for name in folders if (split := split_named(name))}
    splits = list(split_by_folder.values())
    others = [name for name in folders if name not in split_by_folder]
    if "train" not in splits or (others and len(split_by_folder) == 1):  # a class may be called train
        return None
    if others:
        raise DataError(
            f"{top} holds splits ({', '.join(split_by_folder)}) and beside them {others[0]!r}: move it into "
            "one of them, or away."
        )
    duplicates = [name for name, split in split_by_folder.items() if splits.count(split) > 1]
    if duplicates:
        raise DataError(f"{top} holds one split under several names, {' and '.join(duplicates)}: keep one of them.")
    return split_by_folder


@dataclass(frozen=True)
class _File:
    """A file found, by its path below the root, or a fault that keeps it from being one."""

    parts: tuple[str, ...]
    stamp: tuple[int, int] = (0, 0)
    fault: str | None = None


def _files(folder: Path, parts: tuple[str, ...], root: Path, above: tuple[Path, ...]) -> Iterator[_File]:
    """Every file below a folder, links followed within `root`, each folder once on the way down."""
    resolved = folder.resolve()
    if resolved in above:
        return
    try:
        items = sorted(os.scandir(folder), key=lambda item: item.name)
    except PermissionError:
        yield _File(parts, fault="this folder may not be read (permission denied)")
        return
    for item in items:
        if _is_ignored(item.name):
            continue
        item_parts = (*parts, item.name)
        if item.is_symlink():
            target = Path(item.path).resolve()
            if not target.is_relative_to(root):
                yield _File(item_parts, fault="it is a link that leads out of the folder")
                continue
            if not target.exists():
                yield _File(item_parts, fault="it is a link to nothing")
                continue
        if item.is_dir():
            yield from _files(Path(item.path), item_parts, root, (*above, resolved))
        elif item.is_file():
            status = item.stat()
            yield _File(item_parts, (status.st_size, status.st_mtime_ns))
        else:
            yield _File(item_parts, fault="it is no regular file")
