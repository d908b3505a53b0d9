"""An export's folder: a model in one format, and beside it what every format has.

`metadata.json` lists the SHA-256 of every other file, under `files`, and under `seal` its own without that line. A
folder is replaced only where it holds these files as they were written, and nothing else: what a person has put or
changed there is never removed.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eyespot.errors import ExportError, EyespotError, first_line
from eyespot.exporting.formats import ExportFormat, ExportSource, PredictFunction
from eyespot.exporting.verify import Verification, verify
from eyespot.files import replacing_folder, sha256_of, write_text
from eyespot.inference.metadata import TEMPERATURE

METADATA = "metadata.json"
CARD = "model-card.md"
VERSION = 1


def write_package(
    form: ExportFormat, source: ExportSource, original: PredictFunction, target: Path, tolerance: float
) -> Verification:
    """Writes a run in one format into a folder, which is there only if it answers as the run does.

    Args:
        original: what the run's own model answers.
        target: the folder; an earlier export that nobody has changed is replaced as a whole.
        tolerance: how much accuracy on `source.validation` may be lost, a share.

    Raises:
        ExportError: the converter is missing or fails, the export is too much worse, or what is at `target` may not be
            replaced.
        OSError: it cannot be written.
    """
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(target, _earlier_aside) as folder:
        _write(form, source, folder)
        write_text(folder / CARD, source.card)
        verified = verify(form.name, form.opened(folder), original, source.validation)
        verified.check(form.name, tolerance)
        write_metadata(folder, _metadata(form, source) | {"verified": verified.to_dict()})
    return verified


def check_target(target: Path) -> None:
    """Checks, before any work, that an export may be written here.

    Raises:
        ExportError: something is there that an earlier export did not write, or that has been changed since.
    """
    _check(target, target)


def _check(folder: Path, target: Path) -> None:
    """Checks a folder as `check_target` does; messages call it `target`."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ExportError(f"{target} is there and is no folder: choose another `output`.")
    if not any(folder.iterdir()):
        return
    if not is_export(folder):
        raise ExportError(f"{target} holds other things than an export, and is left alone: choose another `output`.")
    digests = _digests(folder)
    if digests is None:
        raise ExportError(
            f"{target / METADATA} has been changed, or is by an earlier eyespot, and does not say which files are the "
            "export's: move the folder away, or choose another `output`."
        )
    foreign = [path.relative_to(folder) for path in _entries(folder) if not _is_as_written(folder, path, digests)]
    if foreign:
        rest = f" (and {len(foreign) - 1:,} more)" if len(foreign) > 1 else ""
        raise ExportError(
            f"{target / foreign[0]}{rest} is not as the earlier export wrote it, and would be lost: move it away, or "
            "choose another `output`."
        )


def is_export(folder: Path) -> bool:
    """Whether an export wrote this folder, whatever has become of it since."""
    metadata = _read_metadata(folder)
    return metadata is not None and "eyespot" in metadata and "format" in metadata


def _read_metadata(folder: Path) -> dict[str, Any] | None:
    try:
        metadata = json.loads((folder / METADATA).read_bytes())
    except (OSError, ValueError):
        return None
    return metadata if isinstance(metadata, dict) else None


def _digests(folder: Path) -> dict[str, str] | None:
    """Digests of the files that `metadata.json` lists; None where it is not as it was written."""
    metadata = _read_metadata(folder)
    if metadata is None or not isinstance(metadata.get("files"), dict):
        return None
    unsealed = {name: value for name, value in metadata.items() if name != "seal"}
    is_intact = (folder / METADATA).read_bytes() == _sealed(unsealed).encode()
    return metadata["files"] if is_intact else None


def _sealed(values: dict[str, Any]) -> str:
    seal = hashlib.sha256(_json(values).encode()).hexdigest()
    return _json({**values, "seal": seal})


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def _is_as_written(folder: Path, path: Path, digests: dict[str, str]) -> bool:
    name = path.relative_to(folder).as_posix()
    if path.is_symlink():
        return False
    if path.is_dir():
        return any(file.startswith(f"{name}/") for file in digests)
    return name == METADATA or digests.get(name) == sha256_of(path)


@contextmanager
def _earlier_aside(target: Path) -> Iterator[None]:
    """Within it, an earlier export is out of the way; it goes only once the other has come.

    Raises:
        ExportError: as of `check_target`.
    """
    backup = target.with_name(f".old-{uuid.uuid4().hex}-{target.name}")
    try:
        if target.exists():
            target.rename(backup)
        _check(backup, target)  # it was there, for anybody to write to, while the export was made
        yield
    except BaseException:
        if backup.exists():
            backup.rename(target)
        raise
    if backup.exists():
        _remove(backup)


def _remove(folder: Path) -> None:
    """Removes an export's files, and the folders that are empty then; what somebody has just put there stays."""
    digests = _digests(folder) or {}
    for path in sorted(_entries(folder), reverse=True):  # what is in a folder before the folder
        if path.is_file() and _is_as_written(folder, path, digests):
            path.unlink()
        elif path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.rmdir()
    with suppress(OSError):
        folder.rmdir()


def _write(form: ExportFormat, source: ExportSource, folder: Path) -> None:
    try:
        form.write(source, folder)
    except (EyespotError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - converters raise types of their own, also where the disk is full
        full = ": is the disk full?" if shutil.disk_usage(folder).free < source.onnx.stat().st_size else "."
        raise ExportError(f"The export as {form.name} cannot be written ({first_line(error)}){full}") from None


def write_metadata(folder: Path, values: dict[str, Any]) -> None:
    """Writes `metadata.json`, once all other files are there."""
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in _files(folder)}
    digests.pop(METADATA, None)
    write_text(folder / METADATA, _sealed({**values, "files": digests}))


def _files(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_file()]


def _metadata(form: ExportFormat, source: ExportSource) -> dict[str, Any]:
    return {
        "eyespot": VERSION,
        "format": form.name,
        "run": source.name,
        **source.metadata,
        TEMPERATURE: source.temperature,
        "inside": list(form.inside),
    }
