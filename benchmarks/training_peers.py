"""What `training.py` compares: one process a peer and network, started as

    KERAS_BACKEND=tensorflow python benchmarks/training_peers.py keras-tensorflow FOLDER

It says when it is ready, then answers each request, a line of JSON on standard input, with one on standard output, and
sleeps in between. FOLDER holds a job: the network as Keras writes it down, its weights, and pictures.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from training_job import CHECKED, PREDICT_BATCH, Job

if TYPE_CHECKING:
    from eyespot.engine.hardware import Precision


class KerasPeer:
    """Keras's own `fit` and `predict`, on whichever backend this process has; timed from epoch begin to epoch end."""

    def __init__(self, job: Job, policy: str | None = None, *, accelerated: bool = False) -> None:
        if accelerated:
            import eyespot
        import keras

        class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
            def on_train_begin(self, *_: Any) -> None:
                self.seconds = 0.0

            def on_epoch_begin(self, *_: Any) -> None:
                self.started = time.perf_counter()

            def on_epoch_end(self, _: int, logs: Any) -> None:
                assert math.isfinite(float(logs["loss"]))  # which waits for a GPU
                self.seconds += time.perf_counter() - self.started

        self.job, self.clock = job, Clock()
        config = json.dumps(_with_policy(json.loads(job.config), policy)) if policy else job.config
        self.model = keras.models.model_from_json(config)
        self.restore()
        assert self.model.count_params() == job.parameters
        self.accelerate = eyespot.accelerate if accelerated else None

    def start(self) -> None:
        """Compiles, and fits one batch."""
        self.model.compile(self.job.optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        if self.accelerate:
            self.model = self.accelerate(self.model, precision="auto") or self.model
        self.train(1)

    def train(self, steps: int, epochs: int = 1) -> float:
        """Train epochs of that many batches; return their seconds."""
        rows = slice(steps * self.job.batch)
        images, labels = self.job.images[rows], self.job.labels[rows]
        self.model.fit(images, labels, batch_size=self.job.batch, epochs=epochs, verbose=0, callbacks=[self.clock])
        return float(self.clock.seconds)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities."""
        return np.asarray(self.model.predict(images, batch_size=PREDICT_BATCH, verbose=0))

    def restore(self) -> None:
        """Puts the job's weights back."""
        self.model.set_weights(self.job.weights)


class EyespotPeer:
    """eyespot's training loop on its engine."""

    def __init__(self, job: Job, precision: "Precision") -> None:
        from eyespot.backend import keras
        from eyespot.engine.hardware import dtype_for
        from eyespot.recipe.schema import TrainingRecipe
        from eyespot.training.program import EngineProgram

        self.job = job
        self.recipe = TrainingRecipe.model_validate({
            "optimizer": job.optimizer, "batch_size": job.batch, "epochs": 1, "early_stopping": False, "keep": "last",
            "precision": precision,
        })  # fmt: skip
        self.model = keras.models.model_from_json(job.config)
        self.model.set_weights(job.weights)
        assert self.model.count_params() == job.parameters
        steps = self.recipe.steps_for(len(job.images))
        self.make_program = partial(EngineProgram, self.model, self.recipe, steps, dtype_for(precision))

    def start(self) -> None:
        """Lower the model, and train on one batch."""
        self.program = self.make_program()
        self.train(1)

    def train(self, steps: int, epochs: int = 1) -> float:
        """Train epochs of that many batches; return their seconds."""
        from eyespot.data.dataset import Dataset, Split
        from eyespot.training.fit import fit

        rows = slice(steps * self.job.batch)
        split = Split(self.job.images[rows], self.job.labels[rows])
        dataset = Dataset("benchmark", tuple(str(label) for label in range(self.job.classes)), split)
        history = fit(self.program, dataset, self.recipe.model_copy(update={"epochs": epochs})).history
        return sum(float(row["seconds"]) for row in history.rows)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities, by the engine."""
        from eyespot.data.dataset import Split

        return self.program.probabilities(Split(images, np.zeros(len(images), np.int64)))

    def restore(self) -> None:
        """Put the job's weights back."""
        self.program.set_weights(self.job.weights)


class OnnxPeer:
    """eyespot's `Predictor`: what `eyespot predict` and `evaluate` run, on ONNX Runtime in float32."""

    def __init__(self, job: Job) -> None:
        import tempfile

        from eyespot.backend import keras
        from eyespot.inference.predictor import Predictor
        from eyespot.onnx_writer.write import write_onnx

        model = keras.models.model_from_json(job.config)
        model.set_weights(job.weights)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            write_onnx(model, path, tuple(str(label) for label in range(job.classes)), job.unseen[:CHECKED])
            self.predictor = Predictor(path)

    def start(self) -> None:
        """Nothing is compiled."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities."""
        return self.predictor.probabilities(images)

    def restore(self) -> None:
        """The weights are still the job's."""


def _with_policy(node: Any, policy: str) -> Any:
    """A model's configuration with another dtype policy in every layer, as a global one would have made it."""
    if isinstance(node, dict):
        if node.get("class_name") == "DTypePolicy":
            return {**node, "config": {"name": policy}}
        return {key: _with_policy(value, policy) for key, value in node.items()}
    return [_with_policy(value, policy) for value in node] if isinstance(node, list) else node


def _torch_peer(job: Job, *, bfloat16: bool) -> Any:
    from training_torch import TorchPeer

    return TorchPeer(job, bfloat16=bfloat16)


def _captured_peer(job: Job) -> Any:
    from training_torch import CapturedTorchPeer

    return CapturedTorchPeer(job)


def _floor(job: Job, precision: "Precision") -> Any:
    from training_torch import Floor

    return Floor(job, precision)


@dataclass(frozen=True)
class Entry:
    """A peer.

    Attributes:
        make: makes what `training_job.Peer` describes.
        backend: of Keras; no other framework can be imported in its process.
        needs: modules that must be installed.
        has: what it can do.
        devices: the kinds it runs on.
    """

    label: str
    make: Callable[[Job], Any]
    backend: str = "torch"
    needs: tuple[str, ...] = ()
    has: tuple[str, ...] = ("train", "predict")
    devices: tuple[str, ...] = ("cpu", "cuda")


PEERS = {
    "eyespot": Entry("eyespot, auto", partial(EyespotPeer, precision="auto")),
    "eyespot-float32": Entry("eyespot, float32", partial(EyespotPeer, precision="float32")),
    "eyespot-fit": Entry("eyespot.accelerate, auto, Keras's fit", partial(KerasPeer, accelerated=True)),
    "eyespot-onnx": Entry("eyespot's Predictor (ONNX), float32", OnnxPeer, has=("predict",), devices=("cpu",)),
    "keras-tensorflow": Entry(
        "Keras on TensorFlow, float32", KerasPeer, "tensorflow", ("tensorflow",), devices=("cpu",)
    ),
    "keras-tensorflow-bfloat16": Entry(
        "Keras on TensorFlow, mixed_bfloat16",
        partial(KerasPeer, policy="mixed_bfloat16"),
        "tensorflow",
        ("tensorflow",),
        devices=("cpu",),
    ),
    "keras-jax": Entry("Keras on JAX, float32", KerasPeer, "jax", ("jax",)),
    "keras-jax-bfloat16": Entry(
        "Keras on JAX, mixed_bfloat16", partial(KerasPeer, policy="mixed_bfloat16"), "jax", ("jax",), devices=("cuda",)
    ),
    "keras-torch": Entry("Keras on PyTorch, float32", KerasPeer),
    "torch": Entry("PyTorch, float32", partial(_torch_peer, bfloat16=False)),
    "torch-bfloat16": Entry("PyTorch, bfloat16 autocast, channels_last", partial(_torch_peer, bfloat16=True)),
    "torch-captured": Entry("... and the step captured as a CUDA graph", _captured_peer, devices=("cuda",)),
    "floor": Entry("floor: products alone, auto", partial(_floor, precision="auto"), has=("train",), devices=("cpu",)),
    "floor-float32": Entry(
        "floor: products alone, float32", partial(_floor, precision="float32"), has=("train",), devices=("cpu",)
    ),
}


class Finder(PathFinder):
    """A finder of modules that finds only one framework: Keras imports whichever it finds, and keeps it."""

    def __init__(self, backend: str) -> None:
        self.hidden = {"tensorflow", "jax", "torch"} - {backend}

    def find_spec(  # type: ignore[override]  # `sys.meta_path` takes instances too
        self, name: str, *arguments: Any
    ) -> ModuleSpec | None:
        """Find a module as `PathFinder` does."""
        return None if name in self.hidden else super().find_spec(name, *arguments)


def hide_all_but(backend: str) -> None:
    """Make the other frameworks look as if they were not installed."""
    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder(backend)


def _peak_mib() -> float:
    """The most memory this process has had resident, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` counts what the parent had when it started this process
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _answer(peer: Any, job: Job, request: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    match request["do"]:
        case "start":
            peer.start()
        case "train":
            return {"seconds": peer.train(request["steps"], request.get("epochs", 1)), "peak_mib": _peak_mib()}
        case "predict":
            peer.predict(job.unseen)
        case "check":
            peer.restore()
            return {"probabilities": peer.predict(job.unseen[:CHECKED]).astype(float).tolist()}
    return {"seconds": time.perf_counter() - started}


def main() -> None:
    """Answers until there are no more requests."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to standard error
    entry, job = PEERS[sys.argv[1]], Job.read(Path(sys.argv[2]))
    hide_all_but(entry.backend)
    began = time.perf_counter()
    peer = entry.make(job)
    print(json.dumps({"import_seconds": time.perf_counter() - began}), file=channel)
    busy = time.process_time()
    for line in sys.stdin:
        idle = time.process_time() - busy
        print(json.dumps({"idle_cpu": idle, **_answer(peer, job, json.loads(line))}), file=channel)
        busy = time.process_time()


if __name__ == "__main__":
    main()
