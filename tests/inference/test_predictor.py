import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from eyespot.data.dataset import Dataset
from eyespot.errors import ModelError, PictureError
from eyespot.inference import predictor
from eyespot.inference.metadata import set_temperature
from eyespot.inference.predictor import Predictor, top_classes
from eyespot.run import Run


def test_files_and_bytes_are_read(run: Run, bars: Dataset, tmp_path: Path):
    """An image gives the same answer as its pixels do, from a file and from bytes."""
    assert bars.test is not None
    path = tmp_path / "bar.png"
    Image.fromarray(bars.test.images[0, ..., 0]).save(path)
    expected = run.predictor().probabilities(bars.test.images[:1])[0]
    first, second = run.predictor().predict([path, ("stdin", path.read_bytes())], top=2)
    assert (first.file, second.file) == (str(path), "stdin")
    assert first.label == bars.class_names[expected.argmax()]
    assert first.probability == second.probability == pytest.approx(expected.max())
    assert [label for label, _ in first.top] == [bars.class_names[index] for index in np.argsort(-expected)[:2]]


def test_more_pictures_than_a_batch(run: Run, bars: Dataset, monkeypatch: pytest.MonkeyPatch):
    """Batches are only a way to compute: their size does not change the answer."""
    whole = run.predictor().probabilities(bars.train.images)
    monkeypatch.setattr(predictor, "BATCH", 7)
    assert run.predictor().probabilities(bars.train.images) == pytest.approx(whole, abs=1e-6)


def test_batches_that_are_answered_at_once_keep_their_order(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In bulk, each image has the answer that it has alone; also where the file has been replaced meanwhile, by the
    model that was opened."""
    images = np.random.default_rng(0).integers(0, 256, (900, 8, 8, 1)).astype(np.uint8)
    expected = Predictor(run.file("model.onnx"), threads=1).probabilities(images)
    monkeypatch.setattr(predictor, "cores", lambda: 3)
    bulk = run.predictor()
    assert bulk.probabilities(images) == pytest.approx(expected, abs=1e-6)
    assert bulk._several is not None
    path = tmp_path / "model.onnx"
    shutil.copyfile(run.file("model.onnx"), path)
    changes: tuple[Callable[[], object], ...] = (lambda: set_temperature(path, 9.0), path.unlink)
    for change in changes:
        opened = Predictor(path)
        before = opened.probabilities(images[:1])
        change()
        assert opened._several is None
        assert opened.probabilities(images)[:1] == pytest.approx(before, abs=1e-6)


def test_one_bad_picture_does_not_spoil_the_others(run: Run, tmp_path: Path):
    """With a place to report to, unreadable images are reported and left out; without one, the first raises."""
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (30, 20)).save(good)
    bad.write_text("no image")
    failed: list[PictureError] = []
    assert [p.file for p in run.predictor().predict([bad, good, bad], on_error=failed.append)] == [str(good)]
    assert len(failed) == 2
    with pytest.raises(PictureError, match=r"bad\.png"):
        run.predictor().predict([good, bad])


def test_nothing_to_predict(run: Run):
    """No images, no predictions."""
    assert run.predictor().predict([]) == []


def test_pictures_of_another_size_are_refused(run: Run):
    """Raw pixels must have the model's size."""
    with pytest.raises(ModelError, match="takes images of"):
        run.predictor().probabilities(np.zeros((1, 9, 8, 1), np.uint8))


def test_other_files_are_refused(run: Run, tmp_path: Path):
    """A missing file, noise, and an ONNX model without class names each get a sentence."""
    noise = tmp_path / "noise.onnx"
    noise.write_bytes(b"\x08\x07noise")
    foreign = onnx.load(run.file("model.onnx"))
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    for name, told in (
        ("none", "no model file"),
        ("noise", "cannot|can be opened"),
        ("foreign", "not written by eyespot"),
    ):
        with pytest.raises(ModelError, match=told):
            Predictor(tmp_path / f"{name}.onnx")


HEAVY = {"keras", "torch", "sklearn", "matplotlib", "scipy", "onnx", "pydantic"}
LOADED = f"import sys; print(sorted({HEAVY} & set(sys.modules)))"


def test_predicting_imports_no_training_framework(run: Run, bars: Dataset, tmp_path: Path):
    """The whole command runs without importing Keras or PyTorch, nor anything else that it does not need."""
    path = tmp_path / "bar.png"
    Image.fromarray(bars.train.images[0, ..., 0]).save(path)
    code = f"import sys; sys.argv = ['eyespot', 'predict', {str(run.path)!r}, {str(path)!r}]\n"
    code += f"from eyespot.cli.main import main\ntry: main()\nexcept SystemExit: pass\n{LOADED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "bar.png" in done.stdout


PREDICTION_NEEDS = ("numpy", "onnxruntime", "pillow", "pydantic", "pyyaml", "typer", "rich", "jaxtyping", "lazy-loader")


def needed(name: str, known: set[str]) -> set[str]:
    """A distribution and all it requires on this machine, Keras and PyTorch never among them."""
    from packaging.requirements import Requirement

    if name in known:
        return known
    known = known | {name}
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            known = needed(requirement.name.lower(), known)
    return known


def test_predicting_works_where_neither_is_installed(run: Run, bars: Dataset, tmp_path: Path):
    """In an environment with ONNX Runtime, Pillow and the command line's libraries alone, `predict` answers."""
    site = tmp_path / "site"
    site.mkdir()
    names: set[str] = set()
    for name in PREDICTION_NEEDS:
        names = needed(name, names)
    assert not {"keras", "torch"} & names
    for name in names:
        for file in distribution(name).files or ():
            top = file.parts[0]
            source = Path(str(distribution(name).locate_file(top)))
            if top != ".." and source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    package = find_spec("eyespot")
    assert package is not None
    assert package.origin is not None
    (site / "eyespot").symlink_to(Path(package.origin).parent)
    path = tmp_path / "bar.png"
    Image.fromarray(bars.train.images[0, ..., 0]).save(path)
    isolated = [sys.executable, "-S", "-c"]
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
    absent = subprocess.run([*isolated, "import keras"], capture_output=True, text=True, check=False, env=settings)
    assert "No module named 'keras'" in absent.stderr
    code = f"import sys; sys.argv = ['eyespot', 'predict', {str(run.path)!r}, {str(path)!r}, '--json']\n"
    code += "from eyespot.cli.main import main\nmain()"
    done = subprocess.run([*isolated, code], capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stderr
    assert f'"file": "{path}"' in done.stdout


def test_threads_share_a_predictor(run: Run, bars: Dataset):
    """Of 1,600 answers to 8 threads, each asking for images of its own, none is another image's."""
    assert bars.test is not None
    shared, pictures = run.predictor(), bars.test.images[:8]
    files = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture[..., 0]).save(file, "PNG")
        files.append(("picture", file.getvalue()))
    ways: tuple[Callable[[int], Any], ...] = (
        lambda i: shared.probabilities(pictures[i : i + 1]).tolist(),
        lambda i: [rows.tolist() for rows in shared.logits_and_probabilities(pictures[i : i + 1])],
        lambda i: shared.features(pictures[i : i + 1]).tolist(),
        lambda i: [one.to_dict() for one in shared.predict([files[i]], reject=True)],
    )
    work = [(way, i) for _ in range(50) for way in ways for i in range(len(pictures))]
    expected = [way(i) for way, i in work[: len(ways) * len(pictures)]] * 50
    fresh = run.predictor()  # whose rejection is read by the threads
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: one[0](one[1]), work))
        rejecting = list(pool.map(lambda i: float(fresh.strangeness(pictures[i % 8 : i % 8 + 1])[0]), range(80)))
    assert sum(answer != alone for answer, alone in zip(found, expected, strict=True)) == 0
    assert rejecting == [float(shared.strangeness(pictures[i % 8 : i % 8 + 1])[0]) for i in range(80)]


def test_the_top_classes_come_best_first():
    """With their probabilities; of equal ones the first class; never more than there are."""
    row = np.array([0.25, 0.5, 0.25], np.float32)
    assert top_classes(row, ("a", "b", "c"), 2) == (("b", 0.5), ("a", 0.25))
    assert len(top_classes(row, ("a", "b", "c"), 9)) == 3
