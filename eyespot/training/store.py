"""A checkpoint on the disk: a directory that is whole or not there, and that tells every damage to it.

`docs/formats.md` describes the format. Nothing in it is pickled; reading it executes nothing. Of a checkpoint that is
removed or replaced, the four files below go, and the directory if nothing else is in it.
"""

import hashlib
import io
import json
import math
import os
import re
import tokenize
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.errors import CheckpointError
from eyespot.files import TEMPORARY, new_sibling

FORMAT = 1
STATE, ARRAYS, MANIFEST, SEAL = "state.json", "arrays.npz", "manifest.json", "manifest.sha256"
PLAIN = "biuf"  # NumPy's kinds of numbers: no objects, no text
OURS = re.compile(re.escape(TEMPORARY) + "[0-9a-f]{32}-.+")  # a temporary sibling's name

Arrays = Mapping[str, np.ndarray]


def write_checkpoint(path: Path, state: Mapping[str, Any], arrays: Arrays) -> None:
    """Writes a checkpoint; whoever reads `path` finds what was there before or all of the new one.

    The files are written to a sibling directory and synced, which is then renamed.

    Args:
        path: the directory; a checkpoint that is there is replaced.
        state: plain values.
        arrays: of numbers, by name.

    Raises:
        CheckpointError: the disk is full, or cannot be written to; the sibling is removed.
    """
    files = {STATE: _json(dict(state)), ARRAYS: _npz(arrays)}
    listed = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()}
    files[MANIFEST] = _json({"format": FORMAT, "files": listed})
    files[SEAL] = f"{_sha256(files[MANIFEST])}  {MANIFEST}\n".encode()  # as sha256sum writes and checks it
    try:
        with new_sibling(path) as sibling:
            for name, data in files.items():
                _write(sibling / name, data)
            _sync_folder(sibling)
            remove_checkpoint(path)  # a damaged one, which training came past again
            os.rename(sibling, path)  # noqa: PTH104 - as the other calls of the system here, which tests make fail
            _sync_folder(path.parent)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be written: {error.strerror or error}.") from error


def remove_checkpoint(path: Path) -> None:
    """Removes a checkpoint, if one is there; what else lies in its directory stays, and so does a link."""
    if path.is_symlink() or not path.is_dir():
        return
    for name in (SEAL, MANIFEST, STATE, ARRAYS):
        (path / name).unlink(missing_ok=True)
    with suppress(OSError):  # it holds something else
        path.rmdir()


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """State and arrays of a checkpoint.

    Raises:
        CheckpointError: it is missing, is of another format, or a bit of it is not as it was written.
    """
    try:
        manifest = _manifest(path)
        files = {name: _listed(path / name, manifest["files"][name]) for name in (STATE, ARRAYS)}
        state = json.loads(files[STATE])
        if not isinstance(state, dict):
            raise TypeError(f"{STATE} is no object")
        return state, _read_npz(files[ARRAYS])
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, TypeError, KeyError, EOFError, RecursionError, MemoryError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"The checkpoint {path} is damaged: {error}.") from None


def remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed while it wrote has left: temporary siblings, by their names."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_symlink() or not (OURS.fullmatch(path.name) or _holds_nothing(path)):
            continue
        if path.is_dir():
            remove_checkpoint(path)
        else:
            path.unlink(missing_ok=True)


def _holds_nothing(path: Path) -> bool:
    return all(file.is_file() and not file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))


def _manifest(path: Path) -> dict[str, Any]:
    data = (path / MANIFEST).read_bytes()
    if (path / SEAL).read_bytes() != f"{_sha256(data)}  {MANIFEST}\n".encode():
        raise ValueError(f"{MANIFEST} is not as it was written")
    manifest: dict[str, Any] = json.loads(data)
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"The checkpoint {path} has the format {manifest['format']}, and this eyespot reads {FORMAT}: continue "
            "with the version that wrote it."
        )
    return manifest


def _listed(path: Path, told: dict[str, Any]) -> bytes:
    """A file's content, if it is as the manifest has it."""
    if path.stat().st_size != told["bytes"]:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, not {told['bytes']:,}")
    data = path.read_bytes()
    if _sha256(data) != told["sha256"]:
        raise ValueError(f"{path.name} is not as it was written")
    return data


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    # A dtype that NumPy does not know, such as bfloat16, fits into float32 whole.
    plain = {name: array if array.dtype.kind in PLAIN else array.astype(np.float32) for name, array in arrays.items()}
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(array, order="C") for name, array in plain.items()})
    return buffer.getvalue()


def _read_npz(data: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError(f"{ARRAYS} is compressed")  # we do not; it could hide any size
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in archive.infolist()}


def _array(data: bytes) -> np.ndarray:
    """An array of numbers from an `.npy` file; no memory is taken for what it declares and does not hold."""
    buffer = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("an array has another format than we write")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(buffer)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"an array's header makes no sense: {error}") from None
    content = data[buffer.tell() :]
    if by_columns or dtype.kind not in PLAIN or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"an array declares the shape {shape}, and does not hold as much")
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _write(path: Path, data: bytes) -> None:
    """By the system's own calls, so that what is synced is what was written."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(path: Path) -> None:
    """So that its entries survive a power cut; Windows cannot open folders, and needs it less."""
    if os.name == "nt":
        return
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
