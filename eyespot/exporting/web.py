"""web: a folder of static files, with which a browser classifies what is drawn or given, without a server.

Two of them are ONNX Runtime Web's, found or fetched as datasets are. Version, sizes and SHA-256 are those of the npm
package onnxruntime-web, which the mirrors serve file by file.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.data.dataset import choose_examples
from eyespot.data.download import PublishedFiles, RemoteFile
from eyespot.data.pixels import encode_png
from eyespot.errors import DownloadError, ExportError
from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.files import write_text
from eyespot.inference.metadata import TEMPERATURE, ModelMetadata
from eyespot.inference.predictor import Predictor

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
SHELF = PublishedFiles("onnxruntime-web", FILES)
UNPACKED = Path("package") / "dist"  # where the npm package has them
MODEL = "model.onnx"
PAGE, LOCAL, RUNTIME = "page", "local", "runtime"  # folders, the second and third within the first
INDEX, ENGINE = "index.html", "engine.js"
CHARSET = '<meta charset="utf-8">'
# What a server's header says for its own page; besides, WebAssembly may be compiled.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'"
)
EXAMPLES = 24


class WebFormat:
    """The page of `eyespot serve`, with the model in the browser.

    Every address in it is relative: it works at any place of any host, and asks no other.
    """

    name = "web"
    inside = ("rescaling", "calibration", "class_names")

    def write(self, source: ExportSource, folder: Path) -> None:
        """`index.html`, the page's modules, ONNX Runtime Web, the model, what the page has to know, and examples.

        Raises:
            ExportError: ONNX Runtime Web is not on this machine and cannot be fetched.
        """
        runtime = folder / PAGE / RUNTIME
        runtime.mkdir(parents=True)
        for name, content in runtime_files().items():
            (runtime / name).write_bytes(content)
        _write_page(folder)
        shutil.copyfile(source.onnx, folder / MODEL)
        _write_json(folder / "model.json", _description(source))
        _write_json(folder / "examples.json", {"examples": list(_examples(source))})

    def opened(self, folder: Path) -> PredictFunction:
        """By ONNX Runtime; that ONNX Runtime Web agrees with it is tested in a browser."""
        return Predictor(folder / MODEL).probabilities


FORMAT = WebFormat()


def runtime_files(shelf: PublishedFiles = SHELF) -> dict[str, bytes]:
    """The files by name.

    Raises:
        ExportError: one is nowhere and cannot be fetched, or is not of this version.
    """
    return {file.name: _content(shelf, file) for file in shelf.files}


def _content(published: PublishedFiles, file: RemoteFile) -> bytes:
    path = _found(published, file.name) or _fetched(published, file)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ExportError(
            f"{path} is damaged or of another version than {VERSION}: delete it, and it is fetched again."
        )
    return content


def _found(published: PublishedFiles, name: str) -> Path | None:
    paths = [folder / subfolder / name for folder in published.folders for subfolder in ("", UNPACKED)]
    return next((path for path in paths if path.is_file()), None)


def _fetched(published: PublishedFiles, file: RemoteFile) -> Path:
    try:
        return published.fetch(file)
    except DownloadError as error:
        names, folders = (
            " and ".join(map(str, paths)) for paths in ([entry.name for entry in published.files], published.folders)
        )
        raise ExportError(
            f"A page needs {names} of ONNX Runtime Web {VERSION}, looked for in {folders}. {error} "
            f"Where there is a network, `npm pack {published.name}@{VERSION}` gets them; unpack it in such a folder."
        ) from None


def _write_page(folder: Path) -> None:
    """The page's files, with the engine that runs here in place of the one that asks a server."""
    page = files("eyespot.webapp")
    for source, target in ((page, folder / PAGE), (page / LOCAL, folder / PAGE / LOCAL)):
        target.mkdir(exist_ok=True)
        for file in source.iterdir():
            if file.name.endswith((".js", ".css", ".svg")):
                write_text(target / file.name, file.read_text(encoding="utf-8"))
    (folder / PAGE / LOCAL / ENGINE).replace(folder / PAGE / ENGINE)
    index = (page / INDEX).read_text(encoding="utf-8")
    policy = f'{CHARSET}\n  <meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    write_text(folder / INDEX, index.replace(CHARSET, policy))


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, ensure_ascii=False) + "\n")


def _description(source: ExportSource) -> dict[str, Any]:
    """The model as the REST API describes it, with the temperature that is inside it and its card."""
    description = ModelMetadata.from_dict(source.metadata).describe(source.name)
    return description | {TEMPERATURE: source.temperature, "card": source.card}


def _examples(source: ExportSource) -> Iterator[dict[str, str]]:
    """Some pictures of the test set with their labels, of every class about as many."""
    if source.examples is None:
        return
    for row in choose_examples(source.examples.labels, EXAMPLES):
        label = source.class_names[int(source.examples.labels[row])]
        picture = encode_png(np.asarray(source.examples.images[row]), optimize=True)
        yield {"label": label, "picture": base64.b64encode(picture).decode()}
