import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from eyespot.errors import ModelError
from eyespot.inference import predictor, runtime
from eyespot.inference.predictor import Predictor
from tests.inference.greedy import GREEDY, classifier, constant, no_softmax, node, summed, written

PIXELS = np.random.default_rng(0).integers(0, 4, (300, 2, 2, 1)).astype(np.uint8)
OPENED = """
import resource, sys
from pathlib import Path
from eyespot.errors import ModelError
from eyespot.inference.predictor import Predictor
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        Predictor(Path(path))
    except ModelError as error:
        assert "takes more than" in str(error), error
        assert "EYESPOT_MODEL_BYTES" in str(error), error
    else:
        raise SystemExit(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_small_file_takes_no_gigabytes(tmp_path: Path):
    """A model that would compute with gigabytes is refused in one sentence, and has not taken more than the limit."""
    files = [written(model, tmp_path / f"{number}.onnx") for number, model in enumerate(GREEDY.values())]
    done = subprocess.run([sys.executable, "-c", OPENED, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < runtime.ROOM + 50_000_000


def test_the_limit_is_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It may be set in bytes, and what is no number of bytes is refused."""
    path = written(classifier(), tmp_path / "m.onnx")
    monkeypatch.setenv(runtime.ROOM_VARIABLE, "1GB")
    with pytest.raises(ModelError, match="EYESPOT_MODEL_BYTES must be a number of bytes"):
        Predictor(path)


def large(bytes_of_a_picture: int) -> onnx.ModelProto:
    """A classifier that computes with so many bytes for each picture, and adds nothing by it."""
    zeros = [constant("p", [0, 0, 0, bytes_of_a_picture // 4]), node("Pad", ["flat", "p"], ["padded"])]
    sums = [constant("zero", 0.0, np.float32), node("Mul", ["padded", "zero"], ["nothing"]),
            constant("one", [1]), node("ReduceSum", ["nothing", "one"], ["c"])]  # fmt: skip
    model = summed(*zeros, *sums)
    model.graph.node[-4].input[0] = "c"
    return model


def test_a_batch_that_is_too_large_is_answered_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where a batch takes more than the limit, fewer pictures are answered at a time; each answer is its picture's,
    also in bulk, where several batches share the memory."""
    monkeypatch.setattr(predictor, "cores", lambda: 3)
    few, many = (
        Predictor(written(classifier(), tmp_path / "few.onnx")),
        Predictor(written(large(12_000_000), tmp_path / "many.onnx")),
    )
    expected = few.probabilities(PIXELS)
    assert many.probabilities(PIXELS[:40]) == pytest.approx(expected[:40], abs=1e-6)
    assert 1 <= many._batch < predictor.BATCH
    assert Predictor(tmp_path / "many.onnx").probabilities(PIXELS[:257]) == pytest.approx(expected[:257], abs=1e-6)


def test_models_that_share_the_memory_wait_for_one_another(tmp_path: Path):
    """Threads that together take more than the limit are all answered: who finds no memory waits for the others."""
    opened = Predictor(written(large(150_000_000), tmp_path / "m.onnx"), threads=1)
    expected, answers = opened.probabilities(PIXELS[:1]), []
    threads = [threading.Thread(target=lambda: answers.append(opened.probabilities(PIXELS[:1]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(threads)
    assert all((answer == expected).all() for answer in answers)


UNABLE = {
    "names": (classifier(3), "names 3 classes, and gives 2 probabilities"),
    "no names": (classifier(0), "names 0 classes"),
    "not a number": (classifier(weights=np.full((4, 2), np.nan)), "gives no probabilities of its 2 classes"),
    "infinite": (classifier(weights=np.full((4, 2), -np.inf)), "gives no probabilities of its 2 classes"),
    "no softmax": (no_softmax(), "gives no probabilities of its 2 classes"),
    "other pictures": (classifier(input={"height": 2, "width": 3, "channels": 1}), "takes other images"),
}


@pytest.mark.parametrize("name", UNABLE)
def test_a_model_that_cannot_answer_is_not_opened(name: str, tmp_path: Path):
    """Fewer or more names than outputs, or outputs that are no probabilities, are said when a file is opened."""
    model, told = UNABLE[name]
    with pytest.raises(ModelError, match=told):
        Predictor(written(model, tmp_path / "m.onnx"))


def test_a_model_that_fails_on_some_pictures_is_found_out(tmp_path: Path):
    """What answers black pictures alone fails its trial: grey ones, noise and several at a time are asked too."""
    nodes = [node("Sub", ["flat", "flat"], ["zero"]), node("Div", ["zero", "flat"], ["over"]),
             node("IsNaN", ["over"], ["black"]), node("Cast", ["black"], ["counted"], to=1),
             node("Log", ["counted"], ["log"])]  # fmt: skip
    model = summed(*nodes, node("Identity", ["log"], ["c"]))
    model.graph.output.append(helper.make_tensor_value_info("logits", 1, ["n", 2]))
    opened = Predictor(written(model, tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="gives no probabilities"):
        opened.try_out()


def test_a_trial_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A model whose answer takes longer than it may is stopped."""
    steps = [node("MatMul", [f"x{i}", "x0"], [f"x{i + 1}"]) for i in range(3000)]
    first = [constant("side", [1500, 1500]), node("ConstantOfShape", ["side"], ["x0"])]
    monkeypatch.setattr(predictor, "TRIAL_SECONDS", 0.2)
    with pytest.raises(ModelError, match=r"one answer takes more than 0\.2 seconds"):
        Predictor(written(summed(*first, *steps, node("Identity", ["x3000"], ["c"])), tmp_path / "m.onnx"))
