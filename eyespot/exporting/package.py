"""An export's folder: a model in one format, and beside it what every format has."""

import shutil
from pathlib import Path
from typing import Any

from eyespot.errors import ExportError, EyespotError
from eyespot.exporting.folder import check_target, replacing_folder, write_metadata
from eyespot.exporting.formats import Answers, Format, Source
from eyespot.exporting.verify import Verified, verify
from eyespot.files import write_text

CARD = "model-card.md"
VERSION = 1


def write_package(form: Format, source: Source, original: Answers, target: Path, tolerance: float) -> Verified:
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
    with replacing_folder(target) as folder:
        _write(form, source, folder)
        write_text(folder / CARD, source.card)
        verified = verify(form.name, form.opened(folder), original, source.validation)
        verified.check(form.name, tolerance)
        write_metadata(folder, _metadata(form, source) | {"verified": verified.to_dict()})
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


def _metadata(form: Format, source: Source) -> dict[str, Any]:
    return {
        "eyespot": VERSION,
        "format": form.name,
        "run": source.name,
        **source.metadata,
        "temperature": source.temperature,
        "inside": list(form.inside),
    }
