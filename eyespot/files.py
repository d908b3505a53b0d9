"""Files that are whole or not there, and what may be written over.

Three ways to write a file, by what may be at the path:

    replacing   a file of a run or of the cache, which its command is documented to write again
    rewriting   a page or a table in a folder that people work in: only over what eyespot wrote there, unchanged
    creating    a file of its own, such as a correction: over nothing; `numbered` gives names until one is free

`replacing_folder` writes a folder. A temporary sibling is created exclusively; no name that is in use is taken. A link
is replaced, never followed.
"""

import csv
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

from eyespot.errors import RunError

Stamp = tuple[int, int, int]  # of a file: what differs when it has been replaced
SPREADSHEET_ENCODING = "utf-8-sig"  # with a byte order mark
TEMPORARY = ".tmp-"  # what the name of a temporary sibling begins with
RECORD = ".eyespot.json"  # in a folder: the SHA-256 of each file there that `rewriting` wrote, by its name
MakeWay = Callable[[Path], AbstractContextManager[object]]


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """As `replacing`, for a file that is not there yet.

    Raises:
        FileExistsError: something is at `path`; it is left as it is.
    """
    with _written_beside(path) as sibling:
        yield sibling
        _sync(sibling)
        move_to_free(sibling, path)


@contextmanager
def _written_beside(path: Path) -> Iterator[Path]:
    sibling = _beside(path)
    sibling.open("xb").close()
    try:
        yield sibling
    finally:
        sibling.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}-{path.name}")


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def move_to_free(source: Path, path: Path) -> None:
    """Rename a file to a path that is free.

    Raises:
        FileExistsError: something is at `path`; both are left as they are.
    """
    try:
        os.link(source, path, follow_symlinks=False)  # os.rename would replace
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # no hard links here: the name is claimed first
        path.open("xb").close()
        source.replace(path)
    else:
        source.unlink()


def record(path: Path) -> None:
    """Note that a file may be written over as it is now."""
    _record(path, sha256_of(path))


def _record(path: Path, digest: str) -> None:
    written = _recorded(path.parent) | {path.name: digest}
    write_text(path.parent / RECORD, json.dumps({"written": written}, indent=1, ensure_ascii=False) + "\n")


def _recorded(folder: Path) -> dict[str, str]:
    try:
        written = json.loads((folder / RECORD).read_bytes())["written"]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError):
        written = None
    if not isinstance(written, dict):
        raise RunError(f"{folder / RECORD} is damaged: move it away.")
    return written


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or nothing."""
    with replacing(path) as sibling:
        sibling.write_text(text, encoding="utf-8")


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, for_spreadsheets: bool = False
) -> None:
    """Writes a table with a header, whole or not at all.

    Args:
        rows: values by the names of the columns.
        for_spreadsheets: begin with a byte order mark, without which Excel takes names in other scripts for Latin ones.
    """
    encoding = SPREADSHEET_ENCODING if for_spreadsheets else "utf-8"
    with replacing(path) as sibling, sibling.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary sibling to write to; it takes `path`'s place only when the block ends well.

    Readers see the old file or the new one, never a mixture, also after a power cut: the file is synced before it is
    renamed. The sibling's name ends as the file's does, since Keras and Matplotlib choose the format by it.
    """
    with _written_beside(path) as sibling:
        yield sibling
        _sync(sibling)
        sibling.replace(path)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def numbered(path: Path) -> Iterator[Path]:
    """The path itself, then with -2, -3, … before its ending."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


@contextmanager
def replacing_folder(folder: Path, make_way: MakeWay = nullcontext) -> Iterator[Path]:
    """Give a new folder beside `folder`, to fill; it takes `folder`'s name only when the block ends well.

    Readers see the old folder, none, or the whole new one, also after a power cut: all files are synced before the
    folder is renamed. What is left of the new folder where the block fails is removed.

    Args:
        make_way: within what it gives, nothing is at `folder`; it brings the old folder back where the rename fails.

    Raises:
        OSError: something is at `folder`, or the system fails.
    """
    sibling = _beside(folder)
    sibling.mkdir()
    try:
        yield sibling
        _sync_tree(sibling)
        with make_way(folder):
            sibling.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(sibling, ignore_errors=True)  # which follows no links


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _sync(path)
        else:
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(path: Path) -> None:
    """Sync a folder, so that its entries survive a power cut; Windows cannot open folders, and needs it less."""
    try:
        file = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)


def rewrite_text(path: Path, text: str) -> None:
    """Write a whole text file, or nothing, as `rewriting` does."""
    with rewriting(path) as sibling:
        sibling.write_text(text, encoding="utf-8")


@contextmanager
def rewriting(path: Path) -> Iterator[Path]:
    """As `replacing`, for a file that only eyespot's own earlier one may give way to.

    Raises:
        RunError: as of `check_own`.
    """
    check_own(path)
    with replacing(path) as sibling:
        yield sibling
        digest = sha256_of(sibling)
    _record(path, digest)


def check_own(*paths: Path) -> None:
    """Check, before any work, that what is at these paths may be written over.

    Raises:
        RunError: a file is not by eyespot, or has been changed since eyespot wrote it.
    """
    for path in paths:
        if os.path.lexists(path) and not is_own(path):
            raise RunError(
                f"{path} is not by eyespot, or has been changed since, and is left alone: move it away, or choose "
                "another `output`."
            )


def is_own(path: Path) -> bool:
    """Whether `rewriting` wrote this file, and nobody has changed it since.

    Raises:
        RunError: the folder's record is damaged.
    """
    digest = _recorded(path.parent).get(path.name)
    return digest is not None and path.is_file() and not path.is_symlink() and sha256_of(path) == digest


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of the file that lies at a path now.

    Raises:
        OSError: none does.
    """
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
