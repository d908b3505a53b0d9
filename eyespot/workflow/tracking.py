"""A run beside its double in MLflow: what is logged when it begins, and when it ends."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from eyespot.errors import DivergedError, TrackingError
from eyespot.output import Output
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.training.mlflow import Tracker, connect, is_refusal, patience, public_reason, without_password
from eyespot.workflow.prepare import PreparedTraining

RECORD = "mlflow.json"
FILES = ("recipe.yaml", "metrics.json", "model.onnx")
STATUS = {"completed": "FINISHED", "early stopping": "FINISHED", "interrupted": "KILLED", "diverged": "FAILED"}


class Tracking:
    """A tracking server or store that has answered.

    Args:
        uri: as MLflow takes it.

    Raises:
        TrackingError: it has not.
    """

    def __init__(self, uri: str) -> None:
        self.client, self.where = connect(uri), without_password(uri)

    @contextmanager
    def of(self, run: Run, prepared: PreparedTraining, out: Output) -> Iterator[tuple[Tracker]]:
        """Within it a run is trained; its end, good or bad, is logged with what it left behind.

        Yields:
            The observers of its epochs.

        Raises:
            TrackingError: the MLflow run cannot be begun.
        """
        tracker = self._begin(run, prepared, out)
        try:
            yield (tracker,)
        except DivergedError:
            _log_end(tracker, run, public=prepared.dataset.public)
            raise
        except BaseException:
            tracker.finish("FAILED")
            raise
        _log_end(tracker, run, public=prepared.dataset.public)

    def _begin(self, run: Run, prepared: PreparedTraining, out: Output) -> Tracker:
        """Goes on with the MLflow run that this run has there, or makes one."""
        try:
            with patience():
                server_run = self._earlier(run) or self._new(run, prepared.dataset.name)
                known_metrics = self._known_metrics(server_run)
        except Exception as error:  # noqa: BLE001 - as in `connect`
            raise TrackingError(f"MLflow at {self.where} cannot begin a run: {public_reason(error)}.") from None
        out.say(f"MLflow at {self.where}: run {server_run.info.run_name}, {server_run.info.run_id}.")
        tracker = Tracker(self.client, server_run.info.run_id, self.where, out.say, known_metrics)
        values, params = _params(prepared.recipe), server_run.data.params
        tracker.log_params({name: value for name, value in values.items() if name not in params})
        changed = {name: value for name, value in values.items() if params.get(name, value) != value}
        tracker.log_tags({f"changed.{name}": value for name, value in changed.items()} | _tags(run, prepared))
        if (run.path / "history.csv").exists():
            for row in Run(run.path).history.rows:  # what was not sent when it was stopped
                tracker.on_epoch(row)
        return tracker

    def _earlier(self, run: Run) -> Any:
        """The MLflow run that is recorded in this run, if it is there; it runs again."""
        path = run.path / RECORD
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if record.get("uri") != self.where:
            return None
        try:
            server_run = self.client.get_run(record["run_id"])
        except Exception as error:
            if is_refusal(error):  # it knows of no such run
                return None
            raise
        if server_run.info.lifecycle_stage != "active":
            return None
        self.client.update_run(server_run.info.run_id, status="RUNNING")
        return server_run

    def _new(self, run: Run, dataset: str) -> Any:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or f"eyespot-{dataset}"
        experiment = self.client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else self.client.create_experiment(name)
        server_run = self.client.create_run(experiment_id, run_name=run.name)
        run.write_json(RECORD, {"uri": self.where, "experiment": name, "run_id": server_run.info.run_id})
        return server_run

    def _known_metrics(self, server_run: Any) -> dict[tuple[str, int], float]:
        return {
            (metric.key, metric.step): metric.value
            for name in server_run.data.metrics
            for metric in self.client.get_metric_history(server_run.info.run_id, name)
        }


def tracked_run(
    tracking: Tracking | None, run: Run, prepared: PreparedTraining, out: Output
) -> AbstractContextManager[tuple[Tracker, ...]]:
    """The observers that `Tracking.of` gives, or none; a run logged before is not logged without being asked again."""
    if tracking:
        return tracking.of(run, prepared, out)
    if (run.path / RECORD).exists():
        out.say("Note: this run was logged to MLflow so far, and is not now: `mlflow` goes on there.")
    return nullcontext(())


def _log_end(tracker: Tracker, run: Run, *, public: bool) -> None:
    """The verdict, the figures on validation and test data, and files.

    Args:
        public: whether anybody may see the images that it was trained on.
    """
    metrics = run.metrics
    epochs = len(Run(run.path).history)
    for split in ("validation", "test"):
        tracker.log_metrics(_figures(split, metrics.get(split) or {}), epochs)
    verdict, ending = metrics["verdict"], metrics["ending"]
    tracker.log_tags({"verdict": verdict["fit"], "ending": ending, "mlflow.note.content": verdict["sentence"]})
    for name in FILES:
        if (run.path / name).exists():
            tracker.log_file(run.path / name)
    # Of a person's own images, only figures that show none of them leave this machine.
    patterns = ("*.png",) if public else ("curves.png", "confusion-*.png")
    for path in sorted(path for pattern in patterns for path in (run.path / "figures").glob(pattern)):
        tracker.log_file(path, "figures")
    tracker.finish(STATUS[ending])


def _figures(split: str, values: Mapping[str, Any]) -> dict[str, float]:
    """A split's numbers as metrics: `test/accuracy`, and its interval as `test/accuracy_low` and `_high`."""
    figures: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, int | float):
            figures[f"{split}/{name}"] = value
        elif name.endswith("_interval"):
            low, high = value
            stem = f"{split}/{name.removesuffix('_interval')}"
            figures |= {f"{stem}_low": low, f"{stem}_high": high}
    return figures


def _params(recipe: Recipe) -> dict[str, str]:
    """The recipe's settings as text, by dotted names."""
    settings = {name: value for name, value in recipe.settings().items() if value is not None}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}


def _tags(run: Run, prepared: PreparedTraining) -> dict[str, str]:
    version = run.environment["packages"]["eyespot"]
    return {"eyespot": version, "dataset_sha256": prepared.fingerprint, "run_path": str(run.path.resolve())}
