"""The models that are served: opened, tried out, and loaded again when their files are replaced."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.data.dataset import RowView
from eyespot.errors import EyespotError, ModelError, RunError, unknown
from eyespot.files import Stamp, stamp_of
from eyespot.inference.predictor import Predictor
from eyespot.serving.corrections import Corrections
from eyespot.serving.guard import Access, Connections
from eyespot.serving.limits import ServerLimits
from eyespot.serving.log import Log
from eyespot.serving.problems import Refusal
from eyespot.serving.prometheus import Metrics
from eyespot.serving.workers import Workers
from eyespot.shapes import Int64, UInt8

MODEL, CARD = "model.onnx", "model-card.md"
WATCH_SECONDS = 0.5  # between two looks at the models' files


@dataclass(frozen=True, eq=False)
class Examples:
    """Pictures of a test set at the model's size, with their labels; a note says what to know of them."""

    images: UInt8[np.ndarray, "n height width channels"] | RowView
    labels: Int64[np.ndarray, " n"]
    note: str | None = None


@dataclass(frozen=True)
class Deployment:
    """What is to be served.

    Attributes:
        name: the model's, in addresses.
        folder: a run, or any folder with a model.onnx by eyespot.
        corrections: where corrections are kept; None: they are not taken.
        examples: loads pictures of the test set, which may take seconds; None: there are none.
    """

    name: str
    folder: Path
    corrections: Path | None = None
    examples: Callable[[], Examples] | None = None


class LoadedModel:
    """A model as it was when it was opened, which has answered pictures of its own kind.

    Args:
        seconds: that each of these answers may take.

    Raises:
        ModelError: the file is missing, damaged, or not by eyespot, or the model cannot answer.
    """

    def __init__(self, path: Path, stamp: Stamp, seconds: float) -> None:
        self.predictor = Predictor(path, threads=1)  # requests share the cores
        self.predictor.try_out(seconds)
        self.stamp = stamp
        self.since = datetime.now(UTC)

    @cached_property
    def rejects(self) -> bool:
        """Whether the model can tell pictures that are none of its classes."""
        try:
            return bool(self.predictor.rejection)
        except ModelError:
            return False


@dataclass(eq=False)
class ServedModel:
    """A deployment, with the model that is loaded now; requests keep the one they began with.

    Attributes:
        refused: why the file that lies there now is not served; None where it is.
    """

    deployment: Deployment
    current: LoadedModel
    corrections: Corrections | None = None
    refused: str | None = None
    _examples: "asyncio.Task[Examples] | None" = None

    @property
    def name(self) -> str:
        """The model's name in addresses."""
        return self.deployment.name

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.deployment.folder / MODEL

    def replace(self, model: LoadedModel) -> None:
        """Serve another model from now on."""
        self.current, self.refused, self._examples = model, None, None

    def card(self) -> str | None:
        """Return the model card, Markdown, from the model or from beside it; None where there is none."""
        embedded = self.current.predictor.card
        if embedded is not None:
            return embedded
        file = self.deployment.folder / CARD
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    async def examples(self) -> Examples:
        """Return the test images, loaded with the first request and kept; none, with a note, where there are none."""
        if self._examples is None:
            self._examples = asyncio.get_running_loop().create_task(self._load_examples())
        return await asyncio.shield(self._examples)

    async def _load_examples(self) -> Examples:
        load, predictor = self.deployment.examples, self.current.predictor
        if load is None:
            return no_examples(predictor.input_shape, "This model was exported without its test images.")
        examples = await asyncio.to_thread(load)
        fits = examples.images.shape[1:] == predictor.input_shape
        if fits and (examples.labels < len(predictor.class_names)).all():
            return examples
        return no_examples(predictor.input_shape, "The test images are of another model.")

    def describe(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return self.current.predictor.metadata.describe(self.name) | {
            "rejects": self.current.rejects,
            "corrections": self.corrections is not None,
            "card": self.card() is not None,
            "loaded": self.current.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "refused": self.refused,
        }


@dataclass(eq=False)
class Service:
    """The models that are served, and what all requests share.

    Attributes:
        models: by name.
        closing: whether the server is stopping: accepted requests are finished, new ones refused.
        in_flight: number of requests under /v1 that are worked on.
    """

    models: dict[str, ServedModel]
    limits: ServerLimits
    access: Access
    log: Log
    closing: bool = False
    in_flight: int = 0
    metrics: Metrics = field(init=False)
    workers: Workers = field(init=False)
    connections: Connections = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(lambda: self.in_flight)
        self.workers = Workers(self.limits)
        self.connections = Connections(self.limits)
        for name in self.models:
            self.metrics.load(name, "loaded")

    def model(self, name: str) -> ServedModel:
        """Return the model of a name.

        Raises:
            Refusal: there is none.
        """
        if name in self.models:
            return self.models[name]
        raise Refusal(HTTPStatus.NOT_FOUND, "model", unknown("model", name[:100], self.models))


def open_service(deployments: Sequence[Deployment], limits: ServerLimits, access: Access, log: Log) -> Service:
    """Open all models.

    Raises:
        RunError: two have one name, or there is no model at one.
        ModelError: a model cannot be opened, or cannot answer.
    """
    models: dict[str, ServedModel] = {}
    for deployment in deployments:
        name, folder = deployment.name, deployment.folder
        if name in models:
            raise RunError(
                f"{models[name].deployment.folder} and {folder} have one name, {name!r}, which addresses "
                "go by: rename one of them."
            )
        models[name] = open_model(deployment, limits)
    return Service(models, limits, access, log)


def no_examples(shape: tuple[int, int, int], note: str) -> Examples:
    """Return no examples, and why there are none."""
    return Examples(np.zeros((0, *shape), np.uint8), np.zeros(0, np.int64), note)


def open_model(deployment: Deployment, limits: ServerLimits) -> ServedModel:
    """Open a model.

    Raises:
        RunError: there is no such folder, or no model in it.
        ModelError: as of `LoadedModel`.
    """
    folder = deployment.folder
    path = folder / MODEL
    if not folder.is_dir():
        raise RunError(f"There is no run or export at {folder}: name a folder with a {MODEL}.")
    try:
        stamp = stamp_of(path)
    except OSError:
        raise RunError(f"{folder} has no {MODEL}: name a finished run, or an export of the format onnx.") from None
    corrections = Corrections(deployment.corrections, limits.corrections) if deployment.corrections else None
    return ServedModel(deployment, LoadedModel(path, stamp, limits.work_seconds), corrections)


async def watch(service: Service) -> None:
    """Take up each model whose file has been replaced, until cancelled; no request is lost.

    It looks at the files' stamps: the system's events, which watchfiles reads, do not come from network folders, and
    which file is loaded, refused or gone has to be known in any case.
    """
    watched = [_WatchedModel(model) for model in service.models.values()]
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        for model in watched:
            await _look(service, model)


@dataclass
class _WatchedModel:
    model: ServedModel
    refused: Stamp | None = None  # of the file that cannot be opened, or cannot answer
    gone: bool = False


async def _look(service: Service, watched: _WatchedModel) -> None:
    model = watched.model
    try:
        stamp = await asyncio.to_thread(stamp_of, model.path)
    except OSError as error:
        if not watched.gone:
            _refuse(service, model, f"{model.path} is gone ({error.strerror or error}).")
        watched.gone = True
        return
    if watched.gone:
        watched.gone, watched.refused, model.refused = False, None, None
    if stamp == watched.refused:
        return
    if stamp == model.current.stamp:
        watched.refused = model.refused = None
        return
    try:
        loaded = await asyncio.to_thread(LoadedModel, model.path, stamp, service.limits.work_seconds)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the file, the watch goes on
        watched.refused = stamp
        service.metrics.load(model.name, "failed")
        _refuse(service, model, str(error) if isinstance(error, EyespotError) else repr(error))
        return
    watched.refused = None
    model.replace(loaded)
    service.metrics.load(model.name, "loaded")
    service.log.event(f"{model.path} has been replaced, and is loaded again.")


def _refuse(service: Service, model: ServedModel, reason: str) -> None:
    """Say why the new file is not taken up, in the log and in the model's description."""
    model.refused = reason
    service.log.event(f"{model.name} is served on as it was loaded: {reason}", "warning")
