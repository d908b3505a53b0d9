import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import h5py
import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.backbones import applications
from eyespot.models.backbones.applications import APPLICATIONS, Application
from eyespot.models.loading import load_model

SMALL = APPLICATIONS["mobilenet-v3-small"]
SHAPE = (64, 64, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.uint8)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Keras's own that is empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    return tmp_path / "keras"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server in the place of Keras's."""
    (tmp_path / "served" / SMALL.folder).mkdir(parents=True)
    serving = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setattr(applications, "SERVER", f"http://127.0.0.1:{serving.server_port}")
    yield tmp_path / "served" / SMALL.folder
    serving.shutdown()
    serving.server_close()


def network_of(application: Application) -> keras.Model:
    """Keras's own model, with weights and statistics that are not their initial ones."""
    model = application.make(include_top=False, weights=None, input_shape=SHAPE, pooling="avg")
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if "variance" in weight.path or "gamma" in weight.path:
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif weight.ndim == 1:
            weight.assign(generator.normal(0, 0.2, weight.shape))
    return model


def published(model: keras.Model, path: Path) -> str:
    """Write weights as those are that Keras publishes, and return the file's MD5."""
    with h5py.File(path, "w") as file:
        keras.src.legacy.saving.legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS.keys())
def test_weights_are_downloaded_once_and_verified(
    application: Application, home: Path, server: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    """The file comes from the server into Keras's folder; features are those of Keras's own model, of pixels 0-255."""
    (server.parent / application.folder).mkdir(exist_ok=True)
    original = network_of(application)
    md5 = published(original, server.parent / application.folder / application.file)
    local = replace(application, md5=md5)
    assert local.weights_path() is None
    body = local.body(SHAPE)
    local.load_weights(body)
    (server.parent / application.folder / application.file).unlink()  # it is asked for once
    local.load_weights(body)
    assert local.weights_path() == home / "models" / application.file
    assert capsys.readouterr().out == ""
    with torch.no_grad():
        expected = original(PIXELS.astype(np.float32)).numpy()
        assert body(PIXELS).numpy() == pytest.approx(expected, abs=1e-4)
    assert expected.std() > 0.01
    body.save(tmp_path / "body.keras")
    with torch.no_grad():
        assert load_model(tmp_path / "body.keras")(PIXELS).numpy() == pytest.approx(expected, abs=1e-4)


def test_a_saved_one_is_opened_by_keras_alone(tmp_path: Path):
    """No class in it is another than Keras's own."""
    body = SMALL.body(SHAPE)
    body.save(tmp_path / "m.keras")
    np.save(tmp_path / "p.npy", PIXELS)
    code = (
        "import keras, numpy, sys\n"
        "model = keras.saving.load_model('m.keras')\n"
        "numpy.save('out.npy', model.predict(numpy.load('p.npy'), verbose=0))\n"
        "assert not any(name.startswith('eyespot') for name in sys.modules)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    with torch.no_grad():
        assert np.load(tmp_path / "out.npy") == pytest.approx(body(PIXELS).numpy(), abs=1e-4)


def test_without_a_network_the_sentence_names_the_file(home: Path, server: Path):
    """Where nothing can be fetched, and where other bytes are served, it says which file to put where; none is left."""
    place = home / "models" / SMALL.file
    with pytest.raises(ModelError) as caught:
        SMALL.fetch_weights()
    assert str(caught.value).startswith("The weights of mobilenet-v3-small could not be downloaded: URL fetch failure")
    assert str(caught.value).endswith(f"Check the network, or put {SMALL.url} at {place} yourself.")
    (server / SMALL.file).write_bytes(b"another file")
    with pytest.raises(ModelError, match="Incomplete or corrupted file detected") as caught:
        SMALL.fetch_weights()
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(home: Path):
    """A file that is the published one by its hash, and holds other layers, is named."""
    (home / "models").mkdir()
    path = home / "models" / SMALL.file
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ModelError, match=r"v2.h5 does not hold the weights of mobilenet-v3-small: "):
        replace(SMALL, md5=published(other, path)).load_weights(SMALL.body(SHAPE))


def test_addresses_and_hashes_are_those_of_keras():
    """What Keras's own functions would fetch for `weights="imagenet"` without a head."""
    of_keras = keras.src.applications
    for size in ("small", "large"):
        application = APPLICATIONS[f"mobilenet-v3-{size}"]
        assert application.md5 == of_keras.mobilenet_v3.WEIGHTS_HASHES[f"{size}_224_1.0_float"][1]
        assert application.url == (
            of_keras.mobilenet_v3.BASE_WEIGHT_PATH + f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"
        )
    second = APPLICATIONS["efficientnet-v2-b0"]
    assert second.md5 == of_keras.efficientnet_v2.WEIGHTS_HASHES["b0"][1]
    assert second.url == of_keras.efficientnet_v2.BASE_WEIGHTS_PATH + "efficientnetv2-b0_notop.h5"
