"""Readers that are broken, each in its way: what the campaign must notice. The first is not, and must pass."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eyespot.errors import EyespotError
from tests.mutation.subject import Parts, Subject, write_file

TEXT = bytes(range(256))


def reader(harm: Callable[[Path], Any]) -> Subject:
    """A reader of a text that does something where the text is not as it was written."""

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        if data != TEXT:
            harm(path)
        return data

    return Subject("text", lambda: {"text": TEXT}, write_file, read, lambda read, *_: read == TEXT)


def refuse(_: Path) -> None:
    raise EyespotError("it is refused")


def hdf5() -> Parts:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    return {"file": buffer.getvalue()}


def read_hdf5(path: Path) -> Any:
    """As one would read weights first: what HDF5 raises comes out as it is."""
    with h5py.File(path) as file:
        return file["layers/dense/vars/0"][()]


CONTROLS = {
    "refuses": reader(refuse),
    "raises": Subject("m.h5", hdf5, write_file, read_hdf5, lambda *_: True),
    "takes anything": reader(lambda _: None),
    "swells": reader(lambda _: np.ones(2**27).sum()),
    "crashes": reader(lambda _: os.abort()),
    "hangs": reader(lambda _: time.sleep(60)),
}
