"""Pictures saved with their right labels, in a folder that `eyespot train` takes.

Nothing in it is ever written over or removed, also where several servers or a person write to it.
"""

import errno
import hashlib
import json
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import numpy as np

from eyespot.data.pixels import encode_png
from eyespot.files import creating, numbered
from eyespot.serving.problems import Refusal, over_limit
from eyespot.shapes import UInt8

DIGITS = 12  # of the SHA-256 in a file's name
CLASS_NAMES = "class-names.json"
LONGEST_NAME = 255  # bytes of a file's name
UNSAFE = frozenset('/\\:*?"<>|%')
RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
)
MACHINE_MADE = frozenset({"__macosx", "thumbs.db", "desktop.ini", CLASS_NAMES})  # which `train` leaves out


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
        """Save a picture, whole or not at all, and return its path below the folder.

        Raises:
            Refusal: the folder is full or cannot be written to, or the label cannot name a folder.
        """
        name = folder_name(label)
        content = encode_png(image)
        with self._lock:
            self._check_room()
            try:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
                path = self._write(name, content)
                if name != label:
                    self._write_names(class_names)
            except OSError as error:
                raise self._unsaved(error) from None
            self._count = (self._count or 0) + 1
        return path

    def _write(self, name: str, content: bytes) -> Path:
        """Write under a name that is free: another server may save the same picture in the same microsecond."""
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(content).hexdigest()[:DIGITS]}"
        for path in numbered(self.folder / name / f"{stem}.png"):
            with suppress(FileExistsError), creating(path) as sibling:
                sibling.write_bytes(content)
                return path.relative_to(self.folder)
        raise AssertionError("numbers do not end")

    def _write_names(self, class_names: tuple[str, ...]) -> None:
        """Write the names' file unless it is there: somebody may have changed it."""
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


def folder_name(label: str) -> str:
    """Return the folder of a class: its name, with what no folder may have on some system percent-encoded.

    Encoded are separators and wildcards, control characters, a dot or space at either end, the first letter of names
    that Windows or `train` take for something else, and what is not in Unicode's composed form.

    Raises:
        Refusal: the name is empty, or too long.
    """
    last_index = len(label) - 1
    parts = [
        _encoded(sign) if _is_unsafe(sign) or (sign in ". " and index in {0, last_index}) else sign
        for index, sign in enumerate(label)
    ]
    if _means_something_else(label):
        parts[0] = _encoded(label[0])
    from eyespot.data.formats.listing import plain  # what a first prediction does not need

    name = "".join(parts)
    if plain(name) != name:
        name = "".join(sign if sign.isascii() else _encoded(sign) for sign in name)
    if not name or len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        detail = f"The class {label[:40]!r} cannot name a folder: such a name has 1 to {LONGEST_NAME} bytes."
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "label", detail)
    return name


def _encoded(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))


def _is_unsafe(sign: str) -> bool:
    return sign in UNSAFE or not sign.isprintable()


def _means_something_else(label: str) -> bool:
    from eyespot.data.formats.listing import split_named

    stem = label.partition(".")[0].strip().upper()
    return stem in RESERVED or split_named(label) is not None or label.lower() in MACHINE_MADE


def names_file(class_names: tuple[str, ...]) -> str:
    """Return what each folder is called, as the setting `pictures.class_names` reads it."""
    names = {}
    for label in class_names:
        try:
            names[folder_name(label)] = label
        except Refusal:
            continue  # it has no folder
    return json.dumps(names, ensure_ascii=False, indent=2) + "\n"
