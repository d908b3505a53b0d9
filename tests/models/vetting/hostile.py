"""Hostile model files, one for each class of hole known in loading models, each written by a function of its own.

Each is told of a canary, a file that is there once code from it has run, and of a secret, a file it reads if it can.
None does more harm than that. CVEs are Keras's.
"""

import base64
import io
import json
import marshal
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eyespot.backend import keras
from eyespot.training import checkpoint

Config = dict[str, Any]
HUGE = 10**12


@dataclass(frozen=True)
class Place:
    """Where a hostile file is written, and what it goes for."""

    folder: Path
    canary: Path
    secret: Path


class Payload:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@keras.saving.register_keras_serializable("hostile")
class Impostor(keras.layers.Layer):
    """A class that another part of the program has registered, and which does something when it is made."""

    def __init__(self, canary: str, **options: Any) -> None:
        super().__init__(**options)
        Path(canary).touch()


# What an honest file is made of.


@cache
def members() -> dict[str, bytes]:
    """An archive of a network of one dense layer."""
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation="softmax", name="head")]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((4, 3), np.float32)
        file["layers/dense/vars/1"] = np.zeros(3, np.float32)
    config = keras.Sequential(layers).to_json().encode()
    return {"metadata.json": b"{}", "config.json": config, "model.weights.h5": buffer.getvalue()}


def archive(place: Place, change: dict[str, bytes] | None = None, kind: int = zipfile.ZIP_STORED) -> Path:
    """A `.keras` file, some of whose members are others."""
    path = place.folder / "hostile.keras"
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in {**members(), **(change or {})}.items():
            file.writestr(name, content)
    return path


def config_with(*described: Config, **top: Any) -> Config:
    """The network's configuration, with other layers in front of the dense one."""
    config: Config = json.loads(members()["config.json"])
    config["config"]["layers"][1:1] = described
    return {**config, **top}


def model(*described: Config, **top: Any) -> Callable[[Place], Path]:
    return lambda place: archive(place, {"config.json": json.dumps(config_with(*described, **top)).encode()})


def layer(kind: str, module: str = "keras.layers", registered: str | None = None, /, **config: Any) -> Config:
    return {"module": module, "class_name": kind, "config": config, "registered_name": registered}


def function(module: str, name: str) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


def weights(write: Callable[[h5py.Group, Place], object]) -> Callable[[Place], Path]:
    """A weights file whose kernel is written by `write`."""

    def made(place: Place) -> Path:
        path = place.folder / "hostile.weights.h5"
        path.write_bytes(members()["model.weights.h5"])
        with h5py.File(path, "a") as file:
            del file["layers/dense/vars/0"]
            write(file["layers/dense/vars"], place)
        return path

    return made


def in_archive(made: Callable[[Place], Path]) -> Callable[[Place], Path]:
    """An archive with such a weights file."""
    return lambda place: archive(place, {"model.weights.h5": made(place).read_bytes()})


# Code in the configuration.


def bytecode(place: Place) -> Config:
    def run(x: Any, canary: str) -> Any:
        open(canary, "w").close()  # noqa: PTH123 - what the function that Keras makes of it can name
        return x

    code = base64.b64encode(marshal.dumps(run.__code__)).decode()
    packed = [code, [str(place.canary)], None]
    return {"class_name": "__lambda__", "config": {"code": packed, "value": packed, "defaults": None, "closure": None}}


def lambda_layer(place: Place) -> Path:
    """CVE-2024-3660, CVE-2026-12481: a Lambda layer carries Python bytecode."""
    return model(layer("Lambda", function=bytecode(place)))(place)


def wrapped_lambda(place: Place) -> Path:
    """The same, where a wrapper makes its layer itself."""
    inner = layer("Lambda", function=bytecode(place))
    wrapped = layer("Reshape", target_shape=[2, 2]), layer("TimeDistributed", layer=inner), layer("Flatten")
    return model(*wrapped)(place)


def lambda_activation(place: Place) -> Path:
    """The same, as the activation of a dense layer."""
    return model(layer("Dense", units=4, activation=bytecode(place)))(place)


def lambda_in_hdf5(place: Place) -> Path:
    """CVE-2025-9905: a whole model in HDF5, where safe mode was passed over."""
    config = config_with(layer("Lambda", name="run", function=bytecode(place)))
    path = place.folder / "hostile.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights").attrs["layer_names"] = np.array([b"run", b"head"])
        file["model_weights"].attrs["keras_version"] = keras.__version__
        file["model_weights/run"] = file.create_group("run")
        file["model_weights/run"].attrs["weight_names"] = np.array([], "S1")
        head = file.create_group("model_weights/head")
        head.attrs["weight_names"] = np.array([b"kernel", b"bias"])
        head["kernel"], head["bias"] = np.zeros((4, 3), np.float32), np.zeros(3, np.float32)
    return path


def torch_module(place: Place) -> Path:
    """TorchModuleWrapper: a pickle, for `torch.load`."""
    import torch

    buffer = io.BytesIO()
    torch.save(Payload(place.canary), buffer)
    pickled = base64.b64encode(buffer.getvalue()).decode()
    return model(layer("TorchModuleWrapper", module=pickled, output_shape=[None, 4]))(place)


def registered(place: Place) -> Path:
    """A class of the program that opens the file, under the name of one of Keras's."""
    return model(layer("Dense", "keras.layers", "hostile>Impostor", canary=str(place.canary)))(place)


def of_the_system(place: Place) -> Path:
    """CVE-2025-1550: any function of any module, with arguments of its own."""
    called = {"args": [f"mkdir {place.canary}"], "kwargs": {}}
    return model({**function("os", "system"), "name": "run", "inbound_nodes": [called]})(place)


def vocabulary(place: Place) -> Path:
    """CVE-2025-12058: a vocabulary may be any file, or a URL."""
    return model(layer("StringLookup", vocabulary=str(place.secret)))(place)


def computed_at_once(place: Place) -> Path:
    """An operation called on numbers alone, which is computed when the graph is built: terabytes of them."""
    pixels = keras.Input((4,))
    config = json.loads(keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(pixels)).to_json())
    call = {"args": [HUGE], "kwargs": {}}
    counted = {**layer("Arange", "keras.src.ops.numpy", "Arange"), "name": "counted", "inbound_nodes": [call]}
    config["config"]["layers"].insert(1, counted)
    return archive(place, {"config.json": json.dumps(config).encode()})


# What an archive can do.


def climbing(place: Place) -> Path:
    return archive(place, {"assets/../../canary": b"climbed out"})


def twice(place: Place) -> Path:
    """Two configurations: who looks at the one may build the other."""
    other = json.dumps(config_with(layer("Lambda", function=bytecode(place)))).encode()
    path = archive(place, {"c0nfig.json": other})
    path.write_bytes(path.read_bytes().replace(b"c0nfig.json", b"config.json"))
    return path


def symbolic_link(place: Place) -> Path:
    path = archive(place)
    member = zipfile.ZipInfo("assets/link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(member, str(place.secret))
    return path


def bomb(place: Place) -> Path:
    """64 MB of blanks in 64 kB; a real one has gigabytes."""
    return archive(place, {"config.json": members()["config.json"] + b" " * 2**26}, zipfile.ZIP_DEFLATED)


def false_size(place: Place) -> Path:
    """A member that declares, in the list at the archive's end, 4 GB more than there are."""
    path = archive(place)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = b"\xf0\xff\xff\xff" * 2
    path.write_bytes(data)
    return path


def pickled_arrays(place: Place) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.array([Payload(place.canary)], object))
    return buffer.getvalue()


def pickled_checkpoint(place: Place) -> Path:
    """A checkpoint with arrays that are pickles, and hashes that fit."""
    path = place.folder / "checkpoint"
    checkpoint.write_checkpoint(path, {"epoch": 1}, {"weights/0": np.zeros(3)})
    arrays, manifest = pickled_arrays(place), json.loads((path / "manifest.json").read_text())
    manifest["files"]["arrays.npz"] = {"bytes": len(arrays), "sha256": checkpoint._sha256(arrays)}
    data = json.dumps(manifest).encode()
    (path / "arrays.npz").write_bytes(arrays)
    (path / "manifest.json").write_bytes(data)
    (path / "manifest.sha256").write_text(f"{checkpoint._sha256(data)}  manifest.json\n")
    return path


def bare_pickle(place: Place) -> Path:
    path = place.folder / "hostile.keras"
    path.write_bytes(pickle.dumps(Payload(place.canary)))
    return path


# What HDF5 can do.


def external_storage(kernel: h5py.Group, place: Place) -> None:
    """CVE-2026-1669: an array whose bytes are those of another file."""
    kernel.create_dataset("0", (4, 3), np.float32, external=[(str(place.secret), 0, 48)])


def external_link(kernel: h5py.Group, place: Place) -> None:
    kernel["0"] = h5py.ExternalLink(str(place.secret), "/secret")


def soft_link(kernel: h5py.Group, _: Place) -> None:
    kernel["0"] = h5py.SoftLink("/layers/dense/vars/1")


def virtual(kernel: h5py.Group, place: Place) -> None:
    layout = h5py.VirtualLayout((4, 3), np.float32)
    layout[:] = h5py.VirtualSource(str(place.secret), "secret", (4, 3))
    kernel.create_virtual_dataset("0", layout)


def huge_shape(kernel: h5py.Group, _: Place) -> None:
    """CVE-2026-0897: terabytes that are all the same, in no bytes."""
    kernel.create_dataset("0", (HUGE, 3), np.float32, chunks=(1000, 3))


def huge_contiguous(kernel: h5py.Group, _: Place) -> None:
    kernel.create_dataset("0", (HUGE, 3), np.float32)


def compressed(kernel: h5py.Group, _: Place) -> None:
    kernel.create_dataset("0", data=np.zeros((2**20, 3), np.float32), compression="gzip")


def objects(kernel: h5py.Group, _: Place) -> None:
    kernel.create_dataset("0", data=np.array(["text"] * 12, object).reshape(4, 3), dtype=h5py.string_dtype())


def references(kernel: h5py.Group, _: Place) -> None:
    kernel.create_dataset("0", data=np.array([kernel.ref] * 12, h5py.ref_dtype).reshape(4, 3), dtype=h5py.ref_dtype)


UNSAFE = "which is not among the classes of Keras"
CODE = "carries code of its own"
HOSTILE: dict[str, tuple[Callable[[Place], Path], str]] = {
    "lambda": (lambda_layer, CODE),
    "lambda in a wrapper": (wrapped_lambda, CODE),
    "lambda as an activation": (lambda_activation, CODE),
    "lambda in HDF5": (lambda_in_hdf5, "which can carry code"),
    "torch module": (torch_module, CODE),
    "TensorFlow graph, CVE-2026-1462": (model(layer("TFSMLayer", filepath="/tmp/graph")), CODE),  # noqa: S108 - not there
    "registered class": (registered, UNSAFE),
    "function of the system": (of_the_system, UNSAFE),
    "download, CVE-2025-8747": (model(function("keras.utils", "get_file")), UNSAFE),
    "archive unpacked, CVE-2025-12060": (
        model({**function("keras.utils", "get_file"), "inbound_nodes": [{"args": [], "kwargs": {"extract": True}}]}),
        UNSAFE,
    ),
    "safe mode switched off, CVE-2025-9906": (
        model(function("keras.config", "enable_unsafe_deserialization")), UNSAFE
    ),
    "model within a model's file": (model(function("keras.models", "load_model")), UNSAFE),
    "module of its own": (model(layer("Run", "hostile_module")), UNSAFE),
    "vocabulary": (vocabulary, UNSAFE),
    "name that is a path, CVE-2026-12479": (model(layer("Dropout", rate=0.1, name="../../canary")), "is a path"),
    "nesting without end": (model(build_config=nested(500)), "nested without end"),
    "more weights than it holds": (
        model(layer("Dense", units=HUGE), layer("Dense", units=4)), "and it holds 15"
    ),
    "computed as it is opened": (computed_at_once, "nothing that comes from an image"),
    "array of one huge element": (
        model(layer("Rescaling", scale={"class_name": "__numpy__", "config": {"value": [1], "dtype": "V9999999"}})),
        UNSAFE,
    ),
    "path in an archive": (climbing, "which Keras does not write"),
    "two configurations": (twice, "holds a name twice"),
    "link in an archive": (symbolic_link, "is a link"),
    "bomb": (bomb, "is compressed"),
    "false size": (false_size, "declares more than"),
    "pickle for a model": (bare_pickle, "no archive"),
    "pickled weights": (
        lambda place: archive(place, {"model.weights.npz": pickled_arrays(place)}), "which Keras does not write"
    ),
    "pickled checkpoint": (pickled_checkpoint, "damaged"),
    "external storage": (in_archive(weights(external_storage)), "stored in other files"),
    "external link": (in_archive(weights(external_link)), "holds links"),
    "soft link": (in_archive(weights(soft_link)), "holds links"),
    "virtual array": (in_archive(weights(virtual)), "is virtual or in pieces"),
    "huge shape, in pieces": (in_archive(weights(huge_shape)), "is virtual or in pieces"),
    "huge shape": (in_archive(weights(huge_contiguous)), "does not hold as much"),
    "compressed array": (in_archive(weights(compressed)), "compressed arrays"),
    "array of objects": (in_archive(weights(objects)), "not of numbers"),
    "array of references": (in_archive(weights(references)), "not of numbers"),
    "weights: external storage": (weights(external_storage), "stored in other files"),
    "weights: external link": (weights(external_link), "holds links"),
    "weights: virtual array": (weights(virtual), "is virtual or in pieces"),
    "weights: huge shape": (weights(huge_contiguous), "does not hold as much"),
}  # fmt: skip
