"""What is done to a graph around its quantisation changes nothing but where numbers are integers."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.exporting.onnx_int8 import (
    GraphEditor,
    _simplify,
    calibration_pictures,
    columns_as_channels,
    pool_before_activation,
    quantise,
)
from eyespot.onnx_writer.write import write_onnx
from tests.conftest import make_split

layers = keras.layers
NAMES = ("ant", "bee", "cat")


def written(
    folder: Path, middle: list[keras.Layer], size: tuple[int, int, int] = (12, 12, 1)
) -> tuple[Path, np.ndarray]:
    """A network with weights that are not its initial ones, as ONNX, and pictures for it."""
    first = [keras.Input(size, dtype="uint8"), layers.Rescaling(1 / 255)]
    model = keras.Sequential([*first, *middle, layers.Flatten(), layers.Dense(3, activation="softmax")])
    generator = np.random.default_rng(1)
    for weight in model.weights:
        drawn = generator.normal(0, 0.3, weight.shape)
        weight.assign(0.5 + abs(drawn) if "variance" in weight.path or "gamma" in weight.path else drawn)
    pixels = generator.integers(0, 256, (40, *size)).astype(np.uint8)
    write_onnx(model, folder / "m.onnx", NAMES, pixels[:5])
    return folder / "m.onnx", pixels


def answers(model: onnx.ModelProto, pixels: np.ndarray, output: str = "logits") -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([output], {"pixels": pixels})[0]


def simplified(path: Path) -> onnx.ModelProto:
    _simplify(path, path.with_name("simple.onnx"))
    return onnx.load(path.with_name("simple.onnx"))


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize(
    ("convolution", "width", "rewritten"),
    [
        ((3, 3, "same"), 12, True),
        ((5, 5, "same"), 12, True),
        ((2, 2, "same"), 12, True),
        ((1, 1, "valid"), 12, True),
        ((3, 5, "valid"), 12, True),
        ((9, 9, "valid"), 12, True),
        ((3, 11, "same"), 12, True),
        ((3, 3, "valid"), 12, False),
        ((3, 3, "same"), 10, False),
    ],
)
@pytest.mark.parametrize("activation", ["relu", None])
def test_columns_as_channels_compute_the_same(
    convolution: tuple[int, int, str], width: int, rewritten: bool, activation: str | None, tmp_path: Path
):
    """Of a grey picture, four columns as four channels give the same logits; where widths do not divide, nothing is
    changed."""
    rows, columns, padding = convolution
    middle = [layers.Conv2D(5, (rows, columns), padding=padding, activation=activation), layers.MaxPooling2D(2)]
    path, pixels = written(tmp_path, middle, (12, width, 1))
    model = simplified(path)
    expected, before = answers(model, pixels), model.SerializeToString()
    columns_as_channels(model)
    onnx.checker.check_model(model, full_check=True)
    assert ("Reshape" in kinds(model)) == rewritten
    assert (model.SerializeToString() != before) or not rewritten
    assert answers(model, pixels) == pytest.approx(expected, abs=1e-4)
    assert expected.std() > 0.1


@pytest.mark.parametrize(
    "middle",
    [
        [layers.Conv2D(4, 3, strides=2, padding="same")],
        [layers.Conv2D(4, 3, dilation_rate=2, padding="same")],
        [layers.MaxPooling2D(2), layers.Conv2D(4, 3, padding="same")],
        [layers.Dense(4), layers.Conv2D(4, 3, padding="same")],
        [layers.Flatten(), layers.Dense(8)],
    ],
    ids=["stride", "dilation", "pool first", "dense first", "no convolution"],
)
def test_other_first_layers_stay(middle: list[keras.Layer], tmp_path: Path):
    """A convolution of another kind, or behind another layer, is left as it is."""
    path, _ = written(tmp_path, [layer.__class__.from_config(layer.get_config()) for layer in middle])
    model = simplified(path)
    before = kinds(model)
    columns_as_channels(model)
    assert kinds(model) == before


def test_a_pool_goes_before_an_activation_that_rises(tmp_path: Path):
    """The logits are the same; a slope below 0, and an activation whose value is used elsewhere, stay in front."""
    middle = [
        layers.Conv2D(4, 3), layers.LeakyReLU(0.3), layers.MaxPooling2D(2), layers.Activation("tanh"),
        layers.MaxPooling2D(2),
    ]  # fmt: skip
    path, pixels = written(tmp_path, middle, (20, 20, 1))
    model = simplified(path)
    expected = answers(model, pixels)
    pool_before_activation(model)
    order = [node.op_type for node in model.graph.node if node.op_type in {"LeakyRelu", "Tanh", "MaxPool"}]
    assert order == ["MaxPool", "LeakyRelu", "MaxPool", "Tanh"]
    assert answers(model, pixels) == pytest.approx(expected, abs=1e-5)
    for change in (_use_it_elsewhere, _let_it_fall):
        other = simplified(path)
        change(other, next(node for node in other.graph.node if node.op_type == "LeakyRelu"))
        pool_before_activation(other)
        assert (
            next(node.op_type for node in other.graph.node if node.op_type in {"LeakyRelu", "MaxPool"}) == "LeakyRelu"
        )


def _use_it_elsewhere(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    model.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None))


def _let_it_fall(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    node.attribute[0].f = -0.5


@pytest.mark.parametrize(
    "middle",
    [
        [layers.Conv2D(8, 3, padding="same"), layers.LeakyReLU(0.1), layers.MaxPooling2D(2), layers.Conv2D(8, 3)],
        [layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()],
        [layers.Flatten(), layers.Dense(8, activation="relu")],
    ],
    ids=["leaky", "batch normalisation", "dense"],
)
def test_all_of_it_runs_in_integers(middle: list[keras.Layer], tmp_path: Path):
    """ONNX Runtime has integer layers for every convolution, pool, activation and product, and nothing is done to the
    pixels before; from the logits on it is floating point."""
    copies = [layer.__class__.from_config(layer.get_config()) for layer in middle]
    path, pixels = written(tmp_path, copies)
    model = quantise(path, pixels)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = set(kinds(onnx.load(tmp_path / "optimised.onnx")))
    assert not found & {"Conv", "MatMul", "Gemm", "FusedGemm", "LeakyRelu", "Relu", "MaxPool", "Cast", "Mul", "Add"}
    assert "QuantizeLinear" not in found
    assert answers(model, pixels) == pytest.approx(answers(onnx.load(path), pixels), abs=0.4)
    agree = answers(model, pixels).argmax(axis=1) == answers(onnx.load(path), pixels).argmax(axis=1)
    assert agree.mean() > 0.9


def test_pixels_keep_the_scale_they_have(tmp_path: Path):
    """The first layer's quantisation is that of the pixels themselves, whatever the calibration pictures showed."""
    path, pixels = written(tmp_path, [layers.Conv2D(4, 3, padding="same")])
    model = quantise(path, pixels // 4)
    graph = GraphEditor(model)
    assert graph.scalar("pixel_scale") == pytest.approx(1 / 255, rel=1e-6)
    assert graph.scalar("pixel_zero") == 0


def test_calibration_pictures_are_the_same_each_time():
    """At most 512 of a split, drawn by a seed."""
    split = make_split(200, seed=5)
    chosen = calibration_pictures(split)
    assert len(chosen) == 512
    assert np.array_equal(chosen, calibration_pictures(split))
    assert len(calibration_pictures(make_split(5, seed=5))) == 15


def test_a_model_that_cannot_be_read_is_an_error(tmp_path: Path):
    """The quantiser's own errors come through, for the format to tell."""
    (tmp_path / "m.onnx").write_bytes(b"not onnx")
    with pytest.raises(Exception, match="onnx") as raised:
        quantise(tmp_path / "m.onnx", np.zeros((1, 8, 8, 1), np.uint8))
    assert not isinstance(raised.value, ModelError)
