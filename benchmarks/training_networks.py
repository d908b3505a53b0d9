"""For `training.py`: the tutorials' networks and their data, written for the peers' processes."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from training_job import CHECKED

import eyespot
from eyespot.backend import keras
from eyespot.models.architectures import build

TRAINED, PREDICTED = 60_000, 10_000  # images


@dataclass(frozen=True)
class Setting:
    """How its tutorial trains a network."""

    dataset: str
    batch: int
    optimizer: str = "adam"


NETWORKS = {
    "fashion-cnn": Setting("fashion-mnist", 64),
    "fashion-cnn-dropout": Setting("fashion-mnist", 64),
    "mnist-mlp": Setting("mnist", 128, "rmsprop"),
    "mnist-mlp-one-hidden": Setting("mnist", 128, "rmsprop"),
    "mnist-cnn-small": Setting("mnist", 64),
    "mnist-cnn-two-conv": Setting("mnist", 300),
    "mnist-cnn-two-conv-as-printed": Setting("mnist", 300),
}
EXTRA = {"cnn": Setting("fashion-mnist", 32), "mlp": Setting("mnist", 32)}  # not a tutorial's: eyespot's own defaults


def write_job(name: str, folder: Path, trained: int = TRAINED, predicted: int = PREDICTED) -> Path:
    """Write a network for the peers' processes, as `training_job.Job` reads it; data of one dataset is written once.

    Args:
        trained, predicted: images to train on and to predict, at most.
    """
    setting = {**NETWORKS, **EXTRA}[name]
    data = folder / setting.dataset
    if not data.exists():
        data.mkdir()
        for file, array in zip(
            ("images", "labels", "unseen"), images_of(setting.dataset, trained, predicted), strict=True
        ):
            np.save(data / file, array)
    shape = np.load(data / "images.npy", mmap_mode="r").shape[1:]
    model = build(name, shape, 10)
    job = folder / name
    job.mkdir()
    np.savez(job / "weights.npz", *model.get_weights())
    settings = {
        "config": model.to_json(), "parameters": model.count_params(), "products": products(model), "classes": 10,
        "batch": setting.batch, "optimizer": setting.optimizer, "data": str(data),
    }  # fmt: skip
    (job / "job.json").write_text(json.dumps(settings), encoding="utf-8")
    np.save(job / "expected.npy", model.predict(np.load(data / "unseen.npy")[:CHECKED], verbose=0))
    return job


def images_of(dataset: str, trained: int, predicted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training images, their labels and images to predict: the real ones from EYESPOT_DATA, else random."""
    if os.environ.get("EYESPOT_DATA"):
        real = eyespot.load(dataset)
        assert real.test is not None
        train = real.train
        return np.asarray(train.images[:trained]), train.labels[:trained], np.asarray(real.test.images[:predicted])
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (trained, 28, 28, 1), np.uint8)
    return images, generator.integers(0, 10, trained), generator.integers(0, 256, (predicted, 28, 28, 1), np.uint8)


def products(model: keras.Model) -> list[dict[str, Any]]:
    """List the model's convolutions and matrix products, as the floor takes them."""
    listed: list[dict[str, Any]] = []
    for layer in model.layers:
        if type(layer) is keras.layers.Dense:
            listed.append({"input": layer.input.shape[1:], "units": layer.units})
        elif type(layer) is keras.layers.Conv2D:
            listed.append({
                "input": layer.input.shape[1:], "filters": layer.filters, "kernel": layer.kernel_size,
                "strides": layer.strides, "padding": layer.padding, "dilation": layer.dilation_rate,
                "groups": layer.groups,
            })  # fmt: skip
        else:
            assert not layer.weights or type(layer) is keras.layers.BatchNormalization, f"{layer.name} has no floor"
    return listed
