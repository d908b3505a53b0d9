"""Each format carries what it says it does, and answers as the run."""

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from scipy.special import softmax

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.errors import ExportError, MissingExtra, ModelError
from eyespot.exporting import formats
from eyespot.exporting.formats import FORMATS, ExportFormat, ExportSource, format_named
from eyespot.exporting.keras import with_calibration
from eyespot.inference.onnx_vetting import read_onnx
from eyespot.inference.predictor import Predictor
from eyespot.onnx_writer.write import write_onnx
from eyespot.run import Run
from tests.exporting.sources import source_of

layers = keras.layers
HERE = {"onnx", "onnx-int8", "openvino", "litert", "keras"}  # `web` has tests of its own
HOSTILE = ("<script>alert(1)</script>", 'a "b"\\\n\t\x01 ../../etc', "类别 🐱 ]]>&amp;")
PLAIN_KERAS = """
import json, sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
images = np.load(sys.argv[2])
assert "eyespot" not in sys.modules and keras.backend.backend() == "torch"
np.save(sys.argv[3], model.predict(images, verbose=0))
"""


def made(name: str, source: ExportSource, folder: Path) -> ExportFormat:
    """The export, in a folder; skipped where its converter is not installed."""
    for module, package in formats.CONVERTERS.get(name, {}).items():
        if find_spec(module) is None:
            pytest.skip(f"needs {package}: pip install 'eyespot[{name}]'")
    form = format_named(name)
    folder.mkdir(exist_ok=True)
    form.write(source, folder)
    return form


def calibrated_source(run: Run, bars: Dataset, folder: Path, names: tuple[str, ...] | None = None) -> ExportSource:
    """With a temperature that is far from 1, so that leaving it out would be seen."""
    from dataclasses import replace

    from eyespot.inference.metadata import set_temperature

    source = source_of(run, bars, names)
    path = folder / "calibrated.onnx"
    path.write_bytes(source.onnx.read_bytes())
    set_temperature(path, 3.0)
    return replace(source, onnx=path, temperature=3.0)


@pytest.mark.parametrize("name", sorted(HERE))
def test_each_answers_as_the_run(name: str, run: Run, bars: Dataset, tmp_path: Path):
    """Calibrated probabilities from raw pixels: to 1e-5, in 8 bits to 0.1, and in OpenVINO's own half precision to
    0.02."""
    source = calibrated_source(run, bars, tmp_path)
    form = made(name, source, tmp_path / "x")
    images = np.asarray(source.validation.images)
    expected = Predictor(source.onnx).probabilities(images)
    found = form.opened(tmp_path / "x")(images)
    assert np.asarray(found) == pytest.approx(expected, abs={"onnx-int8": 0.1, "openvino": 0.02}.get(name, 1e-5))
    uncalibrated = Predictor(run.file("model.onnx")).probabilities(images)
    assert np.abs(expected - uncalibrated).max() > 0.1


@pytest.mark.parametrize("name", sorted(HERE))
def test_hostile_class_names_pass(name: str, run: Run, bars: Dataset, tmp_path: Path):
    """Markup, quotes, control characters and other scripts break no format."""
    source = calibrated_source(run, bars, tmp_path, HOSTILE)
    form = made(name, source, tmp_path / "x")
    images = np.asarray(source.validation.images[:2])
    assert np.asarray(form.opened(tmp_path / "x")(images)).shape == (2, 3)


def test_openvino_tells_names_and_card(run: Run, bars: Dataset, tmp_path: Path):
    """In rt_info, as JSON, whatever the names are; the outputs keep theirs."""
    openvino = pytest.importorskip("openvino", reason="needs openvino: pip install 'eyespot[openvino]'")
    source = calibrated_source(run, bars, tmp_path, HOSTILE)
    made("openvino", source, tmp_path / "x")
    model = openvino.Core().read_model(tmp_path / "x" / "model.xml")
    told = json.loads(model.get_rt_info("eyespot").astype(str))
    assert (tuple(told["class_names"]), told["temperature"]) == (HOSTILE, 3.0)
    assert json.loads(model.get_rt_info("eyespot.card").astype(str)) == source.card
    assert {output.get_any_name() for output in model.outputs} == {"logits", "probabilities", "features"}


def test_litert_tells_names_and_card(run: Run, bars: Dataset, tmp_path: Path):
    """In a ZIP archive behind the model, a label a line."""
    source = calibrated_source(run, bars, tmp_path, HOSTILE)
    made("litert", source, tmp_path / "x")
    with zipfile.ZipFile(tmp_path / "x" / "model.tflite") as archive:
        assert len(archive.read("labels.txt").decode().splitlines()) == 3
        assert tuple(json.loads(archive.read("metadata.json"))["class_names"]) == HOSTILE
        assert archive.read("model-card.md").decode() == source.card


@pytest.mark.parametrize("name", ["onnx", "onnx-int8"])
def test_onnx_keeps_metadata_rejection_and_card(name: str, run: Run, bars: Dataset, tmp_path: Path):
    """Opened as any of eyespot's models: vetted, with class names, looks, features, what rejects, and the card."""
    source = source_of(run, bars)
    made(name, source, tmp_path / "x")
    path = tmp_path / "x" / "model.onnx"
    read_onnx(path)
    before, after = Predictor(source.onnx), Predictor(path, threads=1)
    for attribute in ("class_names", "input_shape", "resize", "appearance", "card"):
        assert getattr(after, attribute) == getattr(before, attribute)
    assert after.card
    images = np.asarray(source.validation.images)
    noise = np.random.default_rng(0).integers(0, 256, images.shape).astype(np.uint8)
    assert after.features(images).shape == before.features(images).shape
    threshold = before.rejection.threshold()
    assert after.rejection.threshold() == threshold
    assert (after.strangeness(noise) > threshold).all()
    share_before, share_after = ((one.strangeness(images) > threshold).mean() for one in (before, after))
    assert share_after == pytest.approx(share_before, abs=0.1)


def test_eight_bits_are_smaller(run: Run, bars: Dataset, tmp_path: Path):
    """About a quarter of the weights' bytes, and each weight is stored in one."""
    source = source_of(run, bars)
    made("onnx-int8", source, tmp_path / "x")
    model = onnx.load(tmp_path / "x" / "model.onnx")
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.INT8}
    held, before = (
        sum(len(tensor.raw_data) for tensor in one.graph.initializer) for one in (model, onnx.load(source.onnx))
    )
    assert held < 0.3 * before


def test_plain_keras_opens_it(run: Run, bars: Dataset, tmp_path: Path):
    """In a fresh process without eyespot, on the PyTorch backend: softmax(logits / temperature)."""
    source = calibrated_source(run, bars, tmp_path)
    made("keras", source, tmp_path / "x")
    images = np.asarray(source.validation.images)
    np.save(tmp_path / "images.npy", images)
    paths = [tmp_path / "x" / "model.keras", tmp_path / "images.npy", tmp_path / "answers.npy"]
    subprocess.run(
        [sys.executable, "-c", PLAIN_KERAS, *paths], check=True, env={"KERAS_BACKEND": "torch"}, cwd=tmp_path
    )
    logits, _ = Predictor(run.file("model.onnx")).logits_and_probabilities(images)
    assert np.load(tmp_path / "answers.npy") == pytest.approx(softmax(logits / 3.0, axis=1), abs=1e-5)


@pytest.mark.parametrize(
    "end",
    [
        [layers.Dense(3, activation="softmax")],
        [layers.Dense(3), layers.Softmax()],
        [layers.Dense(3, use_bias=False), layers.Activation("softmax")],
    ],
    ids=["dense", "softmax", "activation"],
)
def test_each_end_is_calibrated(end: list[keras.Layer], tmp_path: Path):
    """Whatever layer makes the probabilities, they are those of the logits over the temperature, saved and opened."""
    copies = [layer.__class__.from_config(layer.get_config()) for layer in end]
    model = keras.Sequential(
        [keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten(), *copies]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
    before = model.predict(pixels, verbose=0)
    with_calibration(model, 2.5).save(tmp_path / "m.keras")
    found = keras.saving.load_model(tmp_path / "m.keras").predict(pixels, verbose=0)
    assert found == pytest.approx(softmax(np.log(before) / 2.5, axis=1), abs=1e-5)
    assert np.abs(found - before).max() > 0.05


def test_other_ends_cannot_be_calibrated():
    """A convolution that gives probabilities is no dense layer: a sentence; at temperature 1 there is nothing to do."""
    inputs = keras.Input((1, 1, 4))
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="last")(inputs))
    assert with_calibration(model, 1) is model
    with pytest.raises(ExportError, match=r"ends in last \(Conv2D\), .* export it as onnx"):
        with_calibration(model, 2)


def test_a_model_that_was_traced_is_quantised(run: Run, bars: Dataset, tmp_path: Path):
    """What Keras's own exporter wrote, for a layer eyespot does not know, is quantised as far as it goes."""
    model = keras.Sequential([
        keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, padding="same"),
        layers.UnitNormalization(), layers.Flatten(), layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    source = source_of(run, bars)
    images = np.asarray(source.validation.images)
    write_onnx(model, tmp_path / "traced.onnx", source.class_names, images[:8])
    from dataclasses import replace

    form = made("onnx-int8", replace(source, onnx=tmp_path / "traced.onnx"), tmp_path / "x")
    expected = Predictor(tmp_path / "traced.onnx").probabilities(images)
    assert form.opened(tmp_path / "x")(images) == pytest.approx(expected, abs=0.1)


def test_what_is_damaged_is_told(run: Run, bars: Dataset, tmp_path: Path):
    """A model file that is none: one sentence, of each format that is installed."""
    from dataclasses import replace

    (tmp_path / "m.onnx").write_bytes(b"none")
    (tmp_path / "m.keras").write_bytes(b"none")
    source = replace(source_of(run, bars), onnx=tmp_path / "m.onnx", keras=tmp_path / "m.keras")
    for name in ("onnx-int8", "openvino", "keras"):
        if all(find_spec(module) for module in formats.CONVERTERS.get(name, {})):
            with pytest.raises((ExportError, ModelError)) as raised:
                made(name, source, tmp_path / name)
            assert "\n" not in str(raised.value)


def test_an_unknown_format_suggests_the_nearest():
    """Told with all there are."""
    with pytest.raises(ExportError, match=r"no format named 'onx-int8'\. Did you mean 'onnx-int8'\?.*keras, litert"):
        format_named("onx-int8")
    assert set(FORMATS) == HERE | {"web"}


@pytest.mark.parametrize(("name", "package"), [("openvino", "openvino"), ("litert", "litert-torch")])
def test_a_missing_converter_is_told(name: str, package: str, monkeypatch: pytest.MonkeyPatch):
    """With what to install."""
    monkeypatch.setattr(formats, "find_spec", lambda module: None)
    with pytest.raises(MissingExtra, match=rf"needs {package}, which is not.*: pip install 'eyespot\[{name}\]'"):
        format_named(name)
