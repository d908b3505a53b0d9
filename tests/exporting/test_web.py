"""ONNX Runtime Web: found where data sets are, fetched where it is not, and only the version that is known.

`--format web`: a folder that needs nothing but a host of files.
"""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset
from eyespot.data.download import PublishedFiles, RemoteFile
from eyespot.errors import ExportError, UsageError
from eyespot.exporting import web
from eyespot.exporting.web import FILES, MIRRORS, VERSION, runtime_files
from eyespot.run import Run
from eyespot.workflow import serve
from eyespot.workflow.export import ExportResult, export
from eyespot.workflow.serve import NOT_SHOWN
from eyespot.workflow.train import train
from tests.conftest import write_pictures

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
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def shelf(*mirrors: str) -> PublishedFiles:
    files = (RemoteFile(name, len(it), hashlib.sha256(it).hexdigest(), mirrors) for name, it in CONTENT.items())
    return PublishedFiles("onnxruntime-web", tuple(files))


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


@pytest.fixture(scope="module")
def stand_in() -> Iterator[None]:
    """Something in place of ONNX Runtime Web."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(web, "runtime_files", lambda: {"ort.wasm.bundle.min.mjs": b"//", "ort.wasm": b"\0asm"})
        yield


@pytest.fixture(scope="module")
def exported(run: Run, bars: Dataset, tmp_path_factory: pytest.TempPathFactory, stand_in: None) -> ExportResult:
    """The bars' run; tests read it and do not change it."""
    return export(run, "web", tmp_path_factory.mktemp("exported") / "web", on=bars, examples=True)


def read(exported: ExportResult, name: str) -> Any:
    return json.loads((exported.folder / name).read_text(encoding="utf-8"))


def test_the_folder_holds_all_that_the_page_asks_for(exported: ExportResult):
    """The model, the runtime, the modules, with the engine that runs in the browser in place of the server's."""
    files = set(exported.files)
    assert {"index.html", "model.onnx", "model.json", "examples.json", "page/page.js", "page/page.css"} <= files
    assert {"page/runtime/ort.wasm.bundle.min.mjs", "page/local/photograph.js"} <= files
    engine = (exported.folder / "page" / "engine.js").read_text(encoding="utf-8")
    assert "runtime/ort.wasm.bundle.min.mjs" in engine
    assert "v1/" not in engine
    assert not {"page/local/engine.js", "page/__init__.py", "page/index.html"} & files


def test_the_page_may_ask_nobody_else(exported: ExportResult):
    """Its policy lets its own files run and WebAssembly compile; no address in it leaves its folder."""
    index = (exported.folder / "index.html").read_text(encoding="utf-8")
    assert f'http-equiv="Content-Security-Policy" content="{web.POLICY}"' in index
    assert index.index("Content-Security-Policy") < index.index("page/page.css") < index.index("page/page.js")
    assert 'src="/' not in index
    assert 'href="/' not in index


def test_the_model_is_described_as_by_the_server(exported: ExportResult, run: Run):
    """Name, classes, size, looks, temperature and card."""
    described, predictor = read(exported, "model.json"), run.predictor()
    assert described["classes"] == list(predictor.class_names)
    assert described["input"] == {"height": 8, "width": 8, "channels": 1}
    assert described["resize"] == predictor.resize
    assert described["appearance"] == (predictor.appearance.to_dict() if predictor.appearance else None)
    assert described["temperature"] > 0
    assert described["card"].startswith("#")


def test_examples_are_test_pictures_of_every_class(exported: ExportResult, bars: Dataset):
    """At most 24, of every class about as many, each exactly one of the test set's pictures with its label."""
    assert bars.test is not None
    known = {
        (bars.class_names[label], image.tobytes())
        for image, label in zip(bars.test.images, bars.test.labels.tolist(), strict=True)
    }
    examples = read(exported, "examples.json")["examples"]
    labels = [example["label"] for example in examples]
    assert [labels.count(name) for name in bars.class_names] == [8, 8, 8]
    for example in examples:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(example["picture"]))))
        assert (example["label"], picture.tobytes()) in known


def test_own_pictures_are_published_only_where_asked(stand_in: None, run: Run, bars: Dataset, tmp_path: Path):
    """Without being asked, the folder holds none, and a note says so."""
    for examples in (None, False):
        done = export(run, "web", tmp_path / str(examples), on=bars, examples=examples)
        assert read(done, "examples.json") == {"examples": []}
        assert sum("`examples=True` publishes some" in note for note in done.notes) == (examples is None)


def test_a_public_datasets_pictures_are_published(
    stand_in: None, few_digits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Those of a dataset that goes by name are in the folder, unless they are refused; a folder of that name is own."""
    monkeypatch.chdir(tmp_path)
    train("digits", output=tmp_path / "r", model="mnist-mlp-one-hidden", epochs=1, verbose=0)
    assert len(read(export(tmp_path / "r", "web"), "examples.json")["examples"]) == 24
    assert not read(export(tmp_path / "r", "web", examples=False), "examples.json")["examples"]
    assert read(export(tmp_path / "r", "web", on="digits"), "examples.json")["examples"]
    own = replace(CATALOG["digits"].read(), public=False)  # as a user may call arrays of their own
    assert not read(export(tmp_path / "r", "web", on=own), "examples.json")["examples"]
    for row, label in enumerate(own.train.labels[:60].tolist()):
        for split in ("train", "test"):
            (tmp_path / "digits" / split / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(own.train.images[row, ..., 0]).save(tmp_path / "digits" / split / str(label) / f"{row}.png")
    assert not read(export(tmp_path / "r", "web", on="digits"), "examples.json")["examples"]


def test_pictures_that_a_run_was_not_trained_on_are_not_published(stand_in: None, few_digits: None, tmp_path: Path):
    """A run on arrays that its user calls as a public dataset counts as own: exports and the server show nothing."""
    named = replace(CATALOG["digits"].read(), name="digits", public=False)
    arrays = replace(named, train=named.train.take(np.arange(150)))
    made = train(arrays, output=tmp_path / "r", model="mnist-mlp-one-hidden", epochs=1, verbose=0).run
    assert read(export(made, "web"), "examples.json") == {"examples": []}
    assert serve._test_pictures(made.path, None).note == NOT_SHOWN
    assert len(serve._test_pictures(made.path, True).images) == 60


def test_other_formats_hold_no_examples(run: Run, bars: Dataset, tmp_path: Path):
    """To ask them for some is a mistake."""
    with pytest.raises(UsageError, match=r"onnx holds no examples \(`examples`\): only web does"):
        export(run, "onnx", tmp_path / "x", on=bars, examples=True)


def test_nothing_says_where_own_pictures_lie(stand_in: None, tmp_path: Path):
    """No file of an export holds a folder's or a picture's name."""
    write_pictures(tmp_path / "home-of-ann" / "bars")
    source = str(tmp_path / "home-of-ann" / "bars")
    made = train(source, output=tmp_path / "r", model="mlp", epochs=1, verbose=0).run
    for form, examples in (("onnx", None), ("onnx-int8", None), ("keras", None), ("web", True)):
        done = export(made, form, tmp_path / form, examples=examples, tolerance=1)
        for name in done.files:
            content = (done.folder / name).read_bytes()
            assert b"home-of-ann" not in content
            assert b"private-" not in content


def test_without_a_test_set_there_are_no_examples(stand_in: None, run: Run, bars: Dataset, tmp_path: Path):
    """The list is empty, and the page leaves the section out."""
    export(run, "web", tmp_path / "other", on=Dataset(bars.name, bars.class_names, bars.train))
    assert json.loads((tmp_path / "other" / "examples.json").read_text(encoding="utf-8")) == {"examples": []}


def test_it_answers_as_the_run_does(exported: ExportResult, run: Run, bars: Dataset):
    """What was written, opened again, gives the run's own probabilities."""
    assert bars.test is not None
    answers = web.FORMAT.opened(exported.folder)(np.asarray(bars.test.images))
    np.testing.assert_array_equal(answers, run.predictor().probabilities(bars.test.images))
