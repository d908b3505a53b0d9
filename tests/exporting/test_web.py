"""`--format web`: a folder that needs nothing but a host of files."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.data.dataset import Dataset
from eyespot.exporting import web
from eyespot.run import Run
from eyespot.workflow._export import Exported, export


@pytest.fixture
def exported(run: Run, bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """The bars' run, with a stand-in for ONNX Runtime Web."""
    monkeypatch.setattr(web, "runtime_files", lambda: {"ort.wasm.bundle.min.mjs": b"//", "ort.wasm": b"\0asm"})
    return export(run, "web", tmp_path / "web", on=bars)


def read(exported: Exported, name: str) -> Any:
    return json.loads((exported.folder / name).read_text(encoding="utf-8"))


def test_the_folder_holds_all_that_the_page_asks_for(exported: Exported):
    """The model, the runtime, the modules, with the engine that runs in the browser in place of the server's."""
    files = set(exported.files)
    assert {"index.html", "model.onnx", "model.json", "examples.json", "page/page.js", "page/page.css"} <= files
    assert {"page/runtime/ort.wasm.bundle.min.mjs", "page/local/photograph.js"} <= files
    engine = (exported.folder / "page" / "engine.js").read_text(encoding="utf-8")
    assert "runtime/ort.wasm.bundle.min.mjs" in engine
    assert "v1/" not in engine
    assert not {"page/local/engine.js", "page/__init__.py", "page/index.html"} & files


def test_the_page_may_ask_nobody_else(exported: Exported):
    """Its policy lets its own files run and WebAssembly compile; no address in it leaves its folder."""
    index = (exported.folder / "index.html").read_text(encoding="utf-8")
    assert f'http-equiv="Content-Security-Policy" content="{web.POLICY}"' in index
    assert index.index("Content-Security-Policy") < index.index("page/page.css") < index.index("page/page.js")
    assert 'src="/' not in index
    assert 'href="/' not in index


def test_the_model_is_described_as_by_the_server(exported: Exported, run: Run):
    """Name, classes, size, looks, temperature and card."""
    described, predictor = read(exported, "model.json"), run.predictor()
    assert described["classes"] == list(predictor.class_names)
    assert described["input"] == {"height": 8, "width": 8, "channels": 1}
    assert described["resize"] == predictor.resize
    assert described["appearance"] == (predictor.appearance.to_dict() if predictor.appearance else None)
    assert described["temperature"] > 0
    assert described["card"].startswith("#")


def test_examples_are_test_pictures_of_every_class(exported: Exported, bars: Dataset):
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


def test_without_a_test_set_there_are_no_examples(exported: Exported, run: Run, bars: Dataset, tmp_path: Path):
    """The list is empty, and the page leaves the section out."""
    export(run, "web", tmp_path / "other", on=Dataset(bars.name, bars.class_names, bars.train))
    assert json.loads((tmp_path / "other" / "examples.json").read_text(encoding="utf-8")) == {"examples": []}


def test_it_answers_as_the_run_does(exported: Exported, run: Run, bars: Dataset):
    """What was written, opened again, gives the run's own probabilities."""
    assert bars.test is not None
    answers = web.FORMAT.opened(exported.folder)(bars.test.images)
    np.testing.assert_array_equal(answers, run.predictor().probabilities(bars.test.images))
