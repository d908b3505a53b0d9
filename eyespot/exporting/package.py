"""An export's folder: a model in one format, and beside it what every format has."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eyespot.errors import ExportError, EyespotError
from eyespot.exporting.formats import Answers, Format, Source
from eyespot.exporting.verify import Verified, verify
from eyespot.files import write_text

METADATA, CARD = "metadata.json", "model-card.md"
VERSION = 1


def write_package(form: Format, source: Source, original: Answers, target: Path, tolerance: float) -> Verified:
    """Writes a run in one format into a folder, which is there only if it answers as the run does.

    Args:
        original: what the run's own model answers.
        target: the folder; an earlier export in it is replaced as a whole.
        tolerance: how much accuracy on `source.validation` may be lost, a share.

    Raises:
        ExportError: the converter is missing or fails, the export is too much worse, or something else is at `target`.
        OSError: it cannot be written.
    """
    with _replacing_folder(target) as folder:
        _write(form, source, folder)
        metadata = _metadata(form, source)
        _write_json(folder / METADATA, metadata)
        write_text(folder / CARD, source.card)
        verified = verify(form.name, form.opened(folder), original, source.validation)
        verified.check(form.name, tolerance)
        _write_json(folder / METADATA, metadata | {"verified": verified.to_dict()})
    return verified


def _write(form: Format, source: Source, folder: Path) -> None:
    try:
        form.write(source, folder)
    except (EyespotError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - converters raise types of their own, also where the disk is full
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        full = ": is the disk full?" if shutil.disk_usage(folder).free < source.onnx.stat().st_size else "."
        raise ExportError(f"The export as {form.name} cannot be written ({reason}){full}") from None


def check_target(target: Path) -> None:
    """Raises an ExportError where a folder would replace what is no export."""
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise ExportError(f"{target} is there and is no folder: choose another --output.")
    if any(target.iterdir()) and not _is_export(target):
        raise ExportError(f"{target} holds other things than an export, and is left alone: choose another --output.")


def _metadata(form: Format, source: Source) -> dict[str, Any]:
    return {
        "eyespot": VERSION,
        "format": form.name,
        "run": source.name,
        **source.metadata,
        "temperature": source.temperature,
        "inside": list(form.inside),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _is_export(folder: Path) -> bool:
    try:
        told = json.loads((folder / METADATA).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and "eyespot" in told and "format" in told


@contextmanager
def _replacing_folder(target: Path) -> Iterator[Path]:
    """Gives a temporary sibling to fill; it takes the target's place only when the block ends well."""
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    sibling = target.with_name(f".tmp-{uuid.uuid4().hex}-{target.name}")
    try:
        sibling.mkdir()
        yield sibling
        _sync(sibling)
        _take_its_place(sibling, target)
    finally:
        shutil.rmtree(sibling, ignore_errors=True)


def _take_its_place(folder: Path, target: Path) -> None:
    """Renames a folder to `target`; what is there goes only once the other has come."""
    aside = target.with_name(f".old-{uuid.uuid4().hex}-{target.name}")
    if target.exists():
        target.rename(aside)
    try:
        folder.rename(target)
    except BaseException:
        if aside.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Onto the disk, so that after a power cut a folder under its final name is whole."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
