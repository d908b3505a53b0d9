"""ONNX Runtime Web: the two files of it that a page needs, found or fetched as data sets are.

Version, sizes and SHA-256 are those of the npm package onnxruntime-web, which the mirrors serve file by file.
"""

import hashlib
from pathlib import Path

from eyespot.data.download import RemoteFile
from eyespot.data.shelf import Shelf
from eyespot.errors import DownloadError, ExportError

VERSION = "1.30.0"
MIRRORS = tuple(f"https://{host}onnxruntime-web@{VERSION}/dist/" for host in ("cdn.jsdelivr.net/npm/", "unpkg.com/"))
FILES = (
    RemoteFile(
        "ort.wasm.bundle.min.mjs", 73_054, "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90", MIRRORS
    ),
    RemoteFile(
        "ort-wasm-simd-threaded.wasm",
        14_239_897,
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
        MIRRORS,
    ),
)
SHELF = Shelf("onnxruntime-web", FILES)
UNPACKED = Path("package") / "dist"  # where the npm package has them


def runtime_files(shelf: Shelf = SHELF) -> dict[str, bytes]:
    """The files by name.

    Raises:
        ExportError: one is nowhere and cannot be fetched, or is not of this version.
    """
    return {file.name: _content(shelf, file) for file in shelf.files}


def _content(shelf: Shelf, file: RemoteFile) -> bytes:
    path = _found(shelf, file.name) or _fetched(shelf, file)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ExportError(
            f"{path} is damaged or of another version than {VERSION}: delete it, and it is fetched again."
        )
    return content


def _found(shelf: Shelf, name: str) -> Path | None:
    paths = [folder / inner / name for folder in shelf.folders for inner in ("", UNPACKED)]
    return next((path for path in paths if path.is_file()), None)


def _fetched(shelf: Shelf, file: RemoteFile) -> Path:
    try:
        return shelf.fetch(file)
    except DownloadError as error:
        names, folders = (" and ".join(map(str, each)) for each in ([one.name for one in shelf.files], shelf.folders))
        raise ExportError(
            f"A page needs {names} of ONNX Runtime Web {VERSION}, looked for in {folders}. {error} "
            f"Where there is a network, `npm pack {shelf.name}@{VERSION}` gets them; unpack it in such a folder."
        ) from None
