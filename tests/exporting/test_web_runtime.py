"""ONNX Runtime Web: found where data sets are, fetched where it is not, and only the version that is known."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eyespot.data.download import RemoteFile
from eyespot.data.shelf import Shelf
from eyespot.errors import ExportError
from eyespot.exporting.web_runtime import FILES, MIRRORS, VERSION, runtime_files

CONTENT = {"runtime.mjs": b"export const one = 1;", "runtime.wasm": b"\0asm" + bytes(1000)}


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A host of the files, as a CDN is."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def shelf(*mirrors: str) -> Shelf:
    files = (RemoteFile(name, len(it), hashlib.sha256(it).hexdigest(), mirrors) for name, it in CONTENT.items())
    return Shelf("onnxruntime-web", tuple(files))


def test_it_is_fetched_once_and_kept(mirror: str, here: Path):
    """The first call fetches both files into the cache; the second finds them there without a network."""
    assert runtime_files(shelf(mirror)) == CONTENT
    assert runtime_files(shelf("http://127.0.0.1:9/")) == CONTENT


@pytest.mark.parametrize("inner", ["", "package/dist"])
def test_it_is_found_where_data_sets_are(inner: str, here: Path, monkeypatch: pytest.MonkeyPatch):
    """Loose files, or the npm package as it is unpacked, below EYESPOT_DATA; nobody is asked."""
    folder = here / "data" / "onnxruntime-web" / inner
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("EYESPOT_DATA", str(here / "data"))
    assert runtime_files(shelf("http://127.0.0.1:9/")) == CONTENT


def test_another_version_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that is not the one that is known is named, and not put into a page."""
    folder = here / "data" / "onnxruntime-web"
    folder.mkdir(parents=True)
    for name in CONTENT:
        (folder / name).write_bytes(b"something else")
    monkeypatch.setenv("EYESPOT_DATA", str(here / "data"))
    with pytest.raises(ExportError, match=r"runtime\.mjs is damaged or of another version"):
        runtime_files(shelf("http://127.0.0.1:9/"))


def test_without_a_network_it_says_what_to_do(here: Path):
    """Which files, where they were looked for, and the command that gets them."""
    with pytest.raises(ExportError) as caught:
        runtime_files(shelf("http://127.0.0.1:9/"))
    told = str(caught.value)
    assert "runtime.mjs and runtime.wasm" in told
    assert str(here / "cache") in told
    assert f"npm pack onnxruntime-web@{VERSION}" in told


def test_the_published_addresses_name_the_version():
    """Both mirrors serve the pinned version, and nothing that may change under its address."""
    assert len(MIRRORS) == 2
    assert all(address.startswith("https://") and f"@{VERSION}/dist/" in address for address in MIRRORS)
    assert {file.mirrors for file in FILES} == {MIRRORS}
