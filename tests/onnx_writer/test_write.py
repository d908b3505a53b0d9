import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.inference.metadata import add_metadata
from eyespot.inference.predictor import Predictor
from eyespot.models.architectures import ARCHITECTURES, build
from eyespot.onnx_writer import layer_nodes
from eyespot.onnx_writer.write import write_onnx

layers = keras.layers
NAMES = ("ant", "bee", "çat")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 12, 10, 3)).astype(np.uint8)
LAYERS = {
    "convolution": [layers.Conv2D(4, 3, padding="same", activation="relu")],
    "strided convolution, same": [layers.Conv2D(4, 3, strides=2, padding="same")],
    "strided convolution, valid": [layers.Conv2D(4, (5, 3), strides=(2, 3))],
    "dilated convolution": [layers.Conv2D(4, 3, dilation_rate=2, padding="same", use_bias=False)],
    "grouped convolution": [layers.Conv2D(8, 1), layers.Conv2D(4, 3, groups=4)],
    "depthwise convolution": [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="tanh")],
    "max pooling, same": [layers.MaxPooling2D(3, strides=2, padding="same")],
    "average pooling, same": [layers.AveragePooling2D(3, strides=2, padding="same")],
    "average pooling, valid": [layers.AveragePooling2D((2, 3))],
    "global average": [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()],
    "global max, kept": [layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(keepdims=True)],
    "batch normalisation of a picture": [layers.Conv2D(4, 3), layers.BatchNormalization()],
    "batch normalisation of pixels": [layers.BatchNormalization(scale=False)],
    "batch normalisation of features": [layers.Flatten(), layers.Dense(6), layers.BatchNormalization(center=False)],
    "dropout of every kind": [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.GaussianNoise(0.1)],
    "activations": [
        layers.Conv2D(4, 3, activation="elu"), layers.Activation("sigmoid"), layers.Activation("gelu"),
        layers.Activation("selu"), layers.Activation("softplus"), layers.ReLU(max_value=0.8), layers.LeakyReLU(0.3),
        layers.ReLU(negative_slope=0.2), layers.Activation("silu"), layers.ReLU(negative_slope=0.3, max_value=0.5),
    ],
    "activations of small networks": [
        layers.Conv2D(4, 3, activation="relu6"), layers.Rescaling(3, offset=-4), layers.Activation("hard_silu"),
        layers.DepthwiseConv2D(3, activation="silu"), layers.Activation("hard_sigmoid"),
    ],
    "ReLU up to 6": [layers.Rescaling(9, offset=2), layers.ReLU(max_value=6.0), layers.Flatten(), layers.ReLU(6)],
    "augmentation": [
        layers.RandomFlip(), layers.RandomRotation(0.2), layers.RandomTranslation(0.1, 0.1), layers.RandomZoom(0.2),
        layers.RandomBrightness(0.2), layers.RandomContrast(0.2),
    ],
    "layer normalisation": [layers.LayerNormalization(), layers.Flatten(), layers.LayerNormalization(center=False)],
    "reshape and padding": [layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Conv2D(4, 3), layers.Reshape((-1, 2))],
    "rescaling by channel": [layers.Rescaling((0.5, 1.0, 2.0), offset=(0.1, 0.0, -0.1)), layers.Conv2D(4, 3)],
    "normalisation": [layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5])],
}  # fmt: skip


def network(middle: list[keras.Layer], end: list[keras.Layer] | None = None) -> keras.Model:
    """Some layers between pixels and three classes, with weights and statistics that are not their initial ones."""
    start = [keras.Input((12, 10, 3), dtype="uint8"), layers.Rescaling(1 / 127.5, offset=-1)]
    model = keras.Sequential([*start, *middle, layers.Flatten(), *(end or [layers.Dense(3, activation="softmax")])])
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(
                generator.uniform(0.1, 0.6, weight.shape)
                * generator.choice((1, 1 if "variance" in weight.path else -1), weight.shape)
            )
    return model


def probabilities(path: Path, pixels: np.ndarray) -> np.ndarray:
    return Predictor(path).probabilities(pixels)


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_agrees_with_keras(name: str, tmp_path: Path):
    """Every layer the exporter knows gives what Keras gives, to 1e-5, without the tracer."""
    copies = [layer.__class__.from_config(layer.get_config()) for layer in LAYERS[name]]
    model = network(copies)
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)
    assert expected.std() > 0.01  # a constant output would agree with anything
    assert not any(node.op_type in {"Shape", "If", "Loop"} for node in onnx.load(tmp_path / "m.onnx").graph.node)


def test_branches_agree_with_keras(tmp_path: Path):
    """Add and Concatenate, on pictures and on features, of two and of three inputs."""
    pixels = keras.Input((12, 10, 3), dtype="uint8")
    start = layers.Rescaling(1 / 255)(pixels)
    left, right = layers.Conv2D(4, 3, padding="same")(start), layers.Conv2D(4, 5, padding="same")(start)
    joined = layers.Concatenate()([layers.Add()([left, right, left]), start])
    pooled = [layers.GlobalAveragePooling2D()(joined), layers.GlobalMaxPooling2D()(joined)]
    output = layers.Softmax()(layers.Dense(3)(layers.Concatenate()([*pooled, layers.Flatten()(joined)])))
    model = keras.Model(pixels, output)
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)


def test_squeeze_and_excitation_agrees_with_keras(tmp_path: Path):
    """Each channel times a number of its own, by Multiply, and by operators as keras.applications writes them."""
    pixels = keras.Input((12, 10, 3), dtype="uint8")
    value = layers.Conv2D(4, 3)(layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(value)
    gate = layers.ReLU(6.0)(layers.Conv2D(4, 1)(squeezed) + 3.0) * (1.0 / 6.0)
    scaled = layers.Multiply()([value, gate])
    flat = layers.Dense(4)(layers.GlobalAveragePooling2D()(value))
    joined = layers.Add()([scaled, layers.Reshape((1, 1, 4))(flat)]) * scaled
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(2 + joined)))
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)
    assert expected.std() > 0.01
    assert "features" in [output.name for output in onnx.load(tmp_path / "m.onnx").graph.output]  # no tracer gives them


@pytest.mark.parametrize(
    "join",
    [
        lambda picture, flat: layers.Multiply()([picture, flat]),
        lambda picture, flat: keras.ops.add(picture, np.ones((1, 1, 4), np.float32)),
    ],
    ids=["dimensions that differ", "an array"],
)
def test_operators_of_other_kinds_are_traced(join, tmp_path: Path):
    """What the exporter cannot write by one node a call is left to Keras's, and gives what Keras gives."""
    pixels = keras.Input((12, 10, 3), dtype="uint8")
    picture = layers.Conv2D(4, 3, strides=9)(layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    flat = layers.Dense(4)(layers.Flatten()(picture))
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(join(picture, flat))))
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_a_short_graph(name: str, tmp_path: Path):
    """Each named architecture is written by the exporter itself, in fewer nodes than Keras's 43 and more."""
    write_onnx(
        build(name, (28, 28, 1), 10), tmp_path / "m.onnx", tuple("0123456789"), np.zeros((3, 28, 28, 1), np.uint8)
    )
    assert len(onnx.load(tmp_path / "m.onnx").graph.node) < 40


@pytest.mark.parametrize(
    "layer", [layers.SeparableConv2D(4, 3), layers.Conv2D(4, 3, activation="mish"), layers.Permute((2, 1, 3))]
)
def test_other_layers_are_traced(layer: keras.Layer, tmp_path: Path):
    """A layer the exporter does not know is traced by Keras, for any number of pictures at once."""
    model = network([layer.__class__.from_config(layer.get_config())])
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS[:2])
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)


def test_a_traced_model_takes_bytes_too(tmp_path: Path):
    """A model that declares float pixels is given `uint8` like every other, also where Keras traces it."""
    start = keras.Input((12, 10, 3))
    output = layers.Dense(3, activation="softmax")(layers.Flatten()(start / 255 + layers.ReLU()(start - 100)))
    model = keras.Model(start, output)
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)


def test_a_model_that_cannot_be_written_is_refused_quietly(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """One sentence names the layer; PyTorch's print of its whole graph does not reach standard output."""
    start = keras.Input((12, 10, 3), dtype="uint8")
    spoilt = layers.Rescaling(1 / 255)(start)
    output = layers.Dense(3, activation="softmax")(layers.Flatten()(keras.ops.fft2((spoilt, spoilt))[0]))
    with pytest.raises(ModelError, match="FFT2"):
        write_onnx(keras.Model(start, output), tmp_path / "m.onnx", NAMES, PIXELS)
    assert capfd.readouterr().out == ""


def test_a_subclass_is_not_taken_for_its_parent(tmp_path: Path):
    """A user's layer that derives from a known one may compute something else, and is traced."""

    class Doubled(keras.layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    model = network([], end=[Doubled(4), layers.Dense(3, activation="softmax")])
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    expected = keras.ops.convert_to_numpy(model(PIXELS, training=False))
    assert probabilities(tmp_path / "m.onnx", PIXELS) == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_expressed_is_told(tmp_path: Path):
    """A model that neither way can write is refused in one sentence that names the layer, and no file is left."""

    class Sorted(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.linalg.svd(inputs, compute_uv=False)

    model = network([], end=[layers.Reshape((18, 20)), Sorted(), layers.Dense(3, activation="softmax")])
    with pytest.raises(ModelError, match="Sorted") as caught:
        write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_disagrees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The proof is real: an exporter that gets a layer wrong writes nothing."""
    monkeypatch.setitem(layer_nodes.WRITERS, layers.ReLU, layer_nodes.WRITERS[layers.Dropout])
    with pytest.raises(ModelError, match="differs from the Keras model"):
        write_onnx(network([layers.Conv2D(4, 3), layers.ReLU()]), tmp_path / "m.onnx", NAMES, PIXELS)
    assert list(tmp_path.iterdir()) == []


def test_the_proof_does_not_round_to_tf32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a GPU, where PyTorch rounds the factors of convolutions by default, Keras's answers would be too far off."""
    products, found = (torch.backends.cudnn.conv, torch.backends.cuda.matmul), []
    before = [product.fp32_precision for product in products]
    model = network([layers.Conv2D(4, 3)])
    call = model.call
    monkeypatch.setattr(
        model, "call", lambda *a, **k: found.append([product.fp32_precision for product in products]) or call(*a, **k)
    )
    write_onnx(model, tmp_path / "m.onnx", NAMES, PIXELS)
    assert found == [["ieee", "ieee"]] * 2
    assert [product.fp32_precision for product in products] == before


def test_the_file_carries_names_size_and_temperature(tmp_path: Path):
    """Metadata name the classes and the input; `probabilities` is softmax(logits / temperature)."""
    path = tmp_path / "m.onnx"
    write_onnx(network([]), path, NAMES, PIXELS)
    model = onnx.load(path)
    metadata = json.loads({entry.key: entry.value for entry in model.metadata_props}["eyespot"])
    assert metadata["class_names"] == list(NAMES)
    assert metadata["input"] == {"height": 12, "width": 10, "channels": 3, "dtype": "uint8", "range": [0, 255]}
    temperature = next(tensor for tensor in model.graph.initializer if tensor.name == "temperature")
    temperature.CopyFrom(onnx.numpy_helper.from_array(np.float32(2.5), "temperature"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    logits, found = session.run(["logits", "probabilities"], {"pixels": PIXELS})
    scaled = np.exp(logits / 2.5)
    assert found == pytest.approx(scaled / scaled.sum(axis=1, keepdims=True), abs=1e-6)


def test_features_are_what_the_last_dense_layer_takes(tmp_path: Path):
    """The output `features`, times that layer's kernel, plus its bias, gives the logits."""
    model = network([layers.Conv2D(4, 3)], [layers.Dense(7, activation="relu"), layers.Dense(3, activation="softmax")])
    write_onnx(model, tmp_path / "model.onnx", NAMES, PIXELS)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    features, logits = session.run(["features", "logits"], {"pixels": PIXELS})
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.layers[-1].weights)
    assert features.shape == (5, 7)
    assert features @ kernel + bias == pytest.approx(logits, abs=1e-4)
    assert (Predictor(tmp_path / "model.onnx").features(PIXELS) == features).all()


@pytest.mark.parametrize(
    "end",
    [
        [layers.Dense(4), layers.LayerNormalization(), layers.Reshape((2, 2)), layers.Flatten(), layers.Softmax()],
        [layers.Dense(4), layers.UnitNormalization(), layers.Softmax()],
    ],
    ids=["no dense layer last", "written by Keras"],
)
def test_without_features_the_logits_stand_for_them(end: list[keras.Layer], tmp_path: Path):
    """A model that does not end in a dense layer, or is written by Keras's exporter, has logits at least."""
    model = network([layers.Conv2D(4, 3)], end)
    write_onnx(model, tmp_path / "model.onnx", (*NAMES, "dog"), PIXELS)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities"]
    (logits,) = session.run(["logits"], {"pixels": PIXELS})
    assert (Predictor(tmp_path / "model.onnx").features(PIXELS) == logits).all()


def test_metadata_is_added_to_a_model_that_is_there(tmp_path: Path):
    """A key is written or replaced; graph, class names and other keys stay as they were."""
    path = tmp_path / "model.onnx"
    write_onnx(network([]), path, NAMES, PIXELS)
    before = onnx.load(path)
    for text in ("one", "two"):
        add_metadata(path, "mine", text)
    after = onnx.load(path)
    assert {p.key: p.value for p in after.metadata_props} == {p.key: p.value for p in before.metadata_props} | {
        "mine": "two"
    }
    assert after.graph == before.graph
    assert Predictor(path).class_names == NAMES
