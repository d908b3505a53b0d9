"""Pictures saved with their right labels, in a folder that `eyespot train` takes.

Nothing in it is ever written over or removed, also where several servers or a person write to it.
"""

import errno
import hashlib
import io
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import numpy as np
from PIL import Image

from eyespot.files import creating, numbered
from eyespot.serving.folder_names import CLASS_NAMES, folder_name, names_file
from eyespot.serving.problems import Refusal, over_limit
from eyespot.shapes import UInt8

DIGITS = 12  # of the SHA-256 in a file's name


class Corrections:
    """A folder of corrections: a folder for each class, a PNG for each picture.

    Args:
        folder: made with the first correction.
        most: pictures kept; further ones are refused.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self._most = most
        self._lock = threading.Lock()
        self._count: int | None = None  # counted with the first

    def save(self, image: UInt8[np.ndarray, "height width channels"], label: str, class_names: tuple[str, ...]) -> Path:
        """Saves a picture, whole or not at all; gives its path below the folder.

        Raises:
            Refusal: the folder is full, cannot be written to, or the label cannot name a folder.
        """
        name = folder_name(label)
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
        content = file.getvalue()
        with self._lock:
            self._check_room()
            try:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
                place = self._write(name, content)
                if name != label:
                    self._write_names(class_names)
            except OSError as error:
                raise self._unsaved(error) from None
            self._count = (self._count or 0) + 1
        return place

    def _write(self, name: str, content: bytes) -> Path:
        """Under a name that is free: another server may save the same picture in the same microsecond."""
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(content).hexdigest()[:DIGITS]}"
        for path in numbered(self.folder / name / f"{stem}.png"):
            with suppress(FileExistsError), creating(path) as sibling:
                sibling.write_bytes(content)
                return path.relative_to(self.folder)
        raise AssertionError("numbers do not end")

    def _write_names(self, class_names: tuple[str, ...]) -> None:
        """Unless they are there: somebody may have changed them."""
        with suppress(FileExistsError), creating(self.folder / CLASS_NAMES) as sibling:
            sibling.write_text(names_file(class_names), encoding="utf-8")

    def _check_room(self) -> None:
        if self._count is None:
            self._count = sum(1 for _ in self.folder.glob("*/*.png"))
        if self._count >= self._most:
            sentence = f"{self.folder} holds {self._count:,} corrections: move them away, or allow more"
            raise over_limit(HTTPStatus.INSUFFICIENT_STORAGE, "corrections", self._most, sentence)

    def _unsaved(self, error: OSError) -> Refusal:
        reason = error.strerror or type(error).__name__
        hint = "make room there" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "let the server write there"
        detail = f"The correction could not be saved in {self.folder} ({reason}): {hint}."
        return Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "disk", detail)
