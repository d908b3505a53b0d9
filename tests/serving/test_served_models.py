"""A run that is trained again while it is served, and pictures of its test set."""

import base64
import io
import shutil
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from eyespot.errors import ModelError
from eyespot.files import replacing
from eyespot.inference.metadata import METADATA_KEY, REJECTION_KEY
from eyespot.inference.predictor import Predictor
from eyespot.serving import served_models
from eyespot.serving.served_models import Deployment, Examples
from tests.conftest import Answer
from tests.serving.conftest import Running, Start, digit
from tests.serving.models import NAMES, digits, write_model


class Looks:
    """How often models' files have been looked at."""

    def __init__(self) -> None:
        self.done = 0

    def wait(self) -> None:
        """Until what lies there now has been looked at some times."""
        enough, until = self.done + 5, time.monotonic() + 20
        while self.done < enough:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Models' files are looked at fifty times as often as usual."""
    counted, look = Looks(), served_models._look

    async def counting(*arguments: Any) -> None:
        await look(*arguments)
        counted.done += 1

    monkeypatch.setattr(served_models, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(served_models, "_look", counting)
    return counted


PREDICT = "/v1/models/digits/predict"
SEVEN = digit(7)


def label(running: Running) -> str:
    answer = running.client.post(PREDICT, content=SEVEN)
    assert answer.status_code == 200
    return str(answer.json()["predictions"][0]["label"])


def waited_for(running: Running, expected: str, seconds: float = 5) -> float:
    started = time.monotonic()
    while label(running) != expected:
        assert time.monotonic() - started < seconds
        time.sleep(0.02)
    return time.monotonic() - started


def loads(running: Running, outcome: str) -> float | None:
    labels = {"model": "digits", "outcome": outcome}
    return running.service.metrics.registry.get_sample_value("eyespot_model_loads_total", labels)


def own(start: Start, tmp_path: Path) -> Running:
    write_model(tmp_path / "digits")
    return start(Deployment("digits", tmp_path / "digits"))


def test_a_replaced_model_is_taken_up_without_losing_a_request(start: Start, tmp_path: Path):
    """Within a second or two of a replacement, answers are the new model's; no request fails meanwhile."""
    running, failures, stop = own(start, tmp_path), [], threading.Event()
    assert label(running) == "7"

    def ask() -> None:
        while not stop.is_set():
            answer = running.client.post(PREDICT, content=SEVEN)
            if answer.status_code != 200 or answer.json()["predictions"][0]["label"] not in {"7", "2"}:
                failures.append(answer)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    running.service.models["digits"].current.since -= timedelta(seconds=1)  # its answer has whole seconds
    loaded = running.client.get("/v1/models/digits").json()["loaded"]
    for swapped in (True, False, True):
        write_model(tmp_path / "digits", swapped=swapped)
        assert waited_for(running, "2" if swapped else "7") < 4
    stop.set()
    for asker in askers:
        asker.join()
    assert failures == []
    assert running.client.get("/v1/models/digits").json()["loaded"] > loaded
    assert loads(running, "loaded") == 4


def test_a_broken_replacement_keeps_the_old_model(start: Start, tmp_path: Path, looks: Looks):
    """It is told in one line, not again and again; the server stays ready; a good one is then taken up."""
    running = own(start, tmp_path)
    with replacing(tmp_path / "digits" / "model.onnx") as sibling:
        sibling.write_bytes(b"no model")
    looks.wait()
    assert label(running) == "7"
    assert running.client.get("/health/ready").status_code == 200
    (told,) = [line for line in running.log() if "event" in line]
    assert told["event"].startswith("digits is served on as it was loaded: ")
    assert "is not an ONNX model" in told["event"]
    assert loads(running, "failed") == 1
    write_model(tmp_path / "digits", swapped=True)
    waited_for(running, "2")


def test_a_model_that_is_gone_is_served_on(start: Start, tmp_path: Path, looks: Looks):
    """Also where its folder is; and when it is back, it is looked at again."""
    running = own(start, tmp_path)
    shutil.move(tmp_path / "digits", tmp_path / "away")
    looks.wait()
    assert label(running) == "7"
    (told,) = [line for line in running.log() if "event" in line]
    assert "is gone" in told["event"]
    write_model(tmp_path / "digits", swapped=True)
    waited_for(running, "2")


def test_a_model_of_other_classes_is_another_model(start: Start, tmp_path: Path):
    """Its names are told from then on."""
    running = own(start, tmp_path)
    names = tuple("abcdefghij")
    write_model(tmp_path / "digits", names)
    waited_for(running, "h")
    assert running.client.get("/v1/models/digits").json()["classes"] == list(names)


Change = Callable[[onnx.ModelProto], None]


def weights_of(model: onnx.ModelProto, value: float) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == "weights":
            tensor.CopyFrom(numpy_helper.from_array(np.full((64, 10), value, np.float32), "weights"))


def metadata(key: str, old: str, new: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        told = {entry.key: entry.value for entry in model.metadata_props}
        helper.set_model_props(model, told | {key: told.get(key, "").replace(old, new) if old else new})

    return change


def without_logits(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


def large(model: onnx.ModelProto) -> None:
    """A constant of 2.6 GB, from a few bytes."""
    shape = numpy_helper.from_array(np.array([1, 650_000_000]), "shape")
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["logits", "zero"], ["more"]),
    ]
    model.graph.node[-2].input[0] = "more"
    for node in reversed(nodes):
        model.graph.node.insert(len(model.graph.node) - 2, node)


def nothing_for_grey(model: onnx.ModelProto) -> None:
    """Black pictures have an answer, others none."""
    model.graph.node.insert(2, helper.make_node("Sqrt", ["negative"], ["features"]))
    model.graph.node[1].output[0] = "flattened"
    model.graph.node.insert(2, helper.make_node("Neg", ["flattened"], ["negative"]))


UNABLE: dict[str, tuple[Change, str]] = {
    "no numbers": (lambda model: weights_of(model, np.nan), "gives no probabilities of its 10 classes"),
    "infinite": (lambda model: weights_of(model, -np.inf), "gives no probabilities of its 10 classes"),
    "9 names": (metadata(METADATA_KEY, '"8", "9"', '"8 9"'), "names 9 classes, and gives 10 probabilities"),
    "11 names": (metadata(METADATA_KEY, '"9"]', '"9", "10"]'), "names 11 classes, and gives 10 probabilities"),
    "other pictures": (metadata(METADATA_KEY, '"height": 8', '"height": 9'), "takes other images than it says"),
    "a damaged rejection": (metadata(REJECTION_KEY, "", "{}"), "damaged metadata"),
    "no logits": (without_logits, "cannot be run"),
    "gigabytes": (large, "EYESPOT_MODEL_BYTES"),
    "an answer to black pictures alone": (nothing_for_grey, "gives no probabilities of its 10 classes"),
}


def spoiled(folder: Path, change: Change) -> Path:
    """A model in a folder, with a change that makes it useless."""
    path = folder / "model.onnx"
    if not path.exists():
        write_model(folder)
    model = onnx.load(path)
    change(model)
    with replacing(path) as sibling:
        onnx.save(model, sibling)
    return path


@pytest.mark.parametrize("name", UNABLE)
def test_a_model_that_cannot_answer_is_not_taken_up(start: Start, tmp_path: Path, name: str):
    """The one that is served goes on; the log says why in one sentence, once, and so does the address of the model."""
    running, (change, told) = own(start, tmp_path), UNABLE[name]
    assert running.client.get("/v1/models/digits").json()["refused"] is None
    spoiled(tmp_path / "digits", change)
    end = time.monotonic() + 10
    while (refused := running.client.get("/v1/models/digits").json()["refused"]) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert told in refused
    assert label(running) == "7"
    assert [line["event"] for line in running.log() if "event" in line] == [
        f"digits is served on as it was loaded: {refused}"
    ]
    write_model(tmp_path / "digits", swapped=True)
    waited_for(running, "2")
    assert running.client.get("/v1/models/digits").json()["refused"] is None


@pytest.mark.parametrize("name", ["no numbers", "11 names", "an answer to black pictures alone"])
def test_a_model_that_cannot_answer_is_not_served(eyespot: Callable[..., Answer], tmp_path: Path, name: str):
    """At the start it is one sentence, and the exit code 1."""
    change, told = UNABLE[name]
    spoiled(tmp_path / "digits", change)
    answer = eyespot("serve", tmp_path / "digits", "--port", 0)
    assert (answer.code, answer.out) == (1, "")
    assert told in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


def test_a_model_in_parts(start: Start, tmp_path: Path, looks: Looks):
    """A file that is written in place, bit by bit, is taken up once it is whole, and no request fails meanwhile."""
    running = own(start, tmp_path)
    whole = write_model(tmp_path / "other", swapped=True).read_bytes()
    with (tmp_path / "digits" / "model.onnx").open("wb") as file:
        for start_of_part in range(0, len(whole), len(whole) // 3 + 1):
            file.write(whole[start_of_part : start_of_part + len(whole) // 3 + 1])
            file.flush()
            looks.wait()
            assert label(running) in {"7", "2"}
    waited_for(running, "2")


def test_a_folder_in_place_of_a_model(start: Start, tmp_path: Path, looks: Looks):
    """It is no model; the one that was loaded goes on."""
    running, path = own(start, tmp_path), tmp_path / "digits" / "model.onnx"
    path.unlink()
    path.mkdir()
    looks.wait()
    assert label(running) == "7"
    assert "no model file" in running.client.get("/v1/models/digits").json()["refused"]


def test_the_watch_survives_any_fault(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: Looks):
    """Whatever goes wrong as a model is opened, the next one is taken up."""
    running = own(start, tmp_path)

    def fault(*_: object) -> None:
        raise IndexError("no such thing")

    with monkeypatch.context() as broken:
        broken.setattr(Predictor, "try_out", fault)
        write_model(tmp_path / "digits", tuple("abcdefghij"))
        looks.wait()
        assert label(running) == "7"
        assert loads(running, "failed") == 1
    write_model(tmp_path / "digits", swapped=True)
    waited_for(running, "2")


def test_an_answer_that_is_none(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where a model has no answer to one picture, that is a problem with a sentence, and the log says more; the next
    picture is answered."""
    running = own(start, tmp_path)
    predictor = running.service.models["digits"].current.predictor

    def none(*_: object) -> np.ndarray:
        raise ModelError("It gives no probabilities.")

    for name, path in (("probabilities", PREDICT), ("logits_and_probabilities", "/v1/models/digits/occlusion")):
        with monkeypatch.context() as broken:
            broken.setattr(predictor, name, none)
            answer = running.client.post(path, content=SEVEN)
        assert (answer.status_code, answer.json()["reason"]) == (500, "no_answer")
        assert answer.headers["x-request-id"] in answer.json()["detail"]
        assert running.log()[-2]["event"] == "It gives no probabilities."
    assert label(running) == "7"
    assert running.client.get("/v1/models/digits").json()["classes"] == list(NAMES)


EXAMPLES = "/v1/models/digits/examples"


def test_a_few_of_each_class(start: Start, model_folder):
    """The first of each class, then the second: always the same, loaded once, as the pictures that they are."""
    _, test = digits()
    loads: list[int] = []

    def load() -> Examples:
        loads.append(1)
        return Examples(np.asarray(test.images), test.labels, "They are real.")

    client = start(Deployment("digits", model_folder, None, load)).client
    told = client.get(f"{EXAMPLES}?count=12").json()
    assert told == client.get(f"{EXAMPLES}?count=12").json()
    assert told["note"] == "They are real."
    assert [one["label"] for one in told["examples"]] == [*map(str, range(10)), "0", "1"]
    first = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["examples"][3]["picture"]))))
    assert np.array_equal(first, test.images[int(np.flatnonzero(test.labels == 3)[0]), ..., 0])
    assert len(client.get(EXAMPLES).json()["examples"]) == 24
    assert len(loads) == 1
    assert client.get(f"{EXAMPLES}?count=201").status_code == 422


def test_an_export_has_none(start: Start):
    """It says so."""
    told = start().client.get(EXAMPLES).json()
    assert told["examples"] == []
    assert told["note"] == "This model was exported without its test images."


def test_pictures_of_another_size_are_not_shown(start: Start, model_folder):
    """A run's data may have been changed since."""
    other = Examples(np.zeros((3, 9, 9, 1), np.uint8), np.zeros(3, np.int64))
    told = start(Deployment("digits", model_folder, None, lambda: other)).client.get(EXAMPLES).json()
    assert (told["examples"], told["note"]) == ([], "The test images are of another model.")


def test_examples_that_take_too_long(start: Start, model_folder):
    """They are not waited for, and are there later."""
    found, go = Examples(np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1, np.int64)), threading.Event()

    def slow() -> Examples:
        go.wait(10)
        return found

    client = start(Deployment("digits", model_folder, None, slow), work_seconds=0.3).client
    assert client.get(EXAMPLES).json()["reason"] == "work_seconds"
    go.set()
    assert len(client.get(EXAMPLES).json()["examples"]) == 1
