"""MLflow: what a training gives is logged to a tracking server or store, and waits while that cannot be reached."""

import io
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from eyespot.errors import MissingExtra, TrackingError, UsageError, first_line
from eyespot.training.history import EpochFigures

# MLflow, since 3.2, otherwise reports how it is used; it reads this when it is imported and with every report.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

DEFAULT_URI = "sqlite:///mlflow.db"
PAUSE = 60.0  # seconds before a server that went away is tried again
MOST_PARAMS, LONGEST_PARAM = 100, 6000  # MLflow takes no more at once, and none that is longer
# MLflow waits 120 s for an answer and asks eight times, for minutes; here a training waits for it.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def connect(uri: str) -> Any:
    """A client of the tracking server or store, which has answered.

    Args:
        uri: as MLflow takes it: `http://host:5000`, `sqlite:///mlflow.db`, `file:///folder`, `databricks`, …

    Raises:
        UsageError: `uri` is no address.
        MissingExtra: MLflow is not installed.
        TrackingError: nobody answers there.
    """
    if not is_address(uri):
        raise UsageError(
            f"{uri} is no address of MLflow: write `mlflow='http://host:5000'` or `mlflow={DEFAULT_URI!r}`."
        )
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtra("`mlflow`", ["MLflow"], "mlflow") from None
    logging.getLogger("mlflow.store").setLevel(logging.WARNING)  # it logs each table that it makes
    try:
        with patience():
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except Exception as error:  # noqa: BLE001 - MLflow, its databases and its network each have errors of their own
        raise TrackingError(
            f"MLflow does not answer at {without_password(uri)}: {public_reason(error)}. Nothing was trained; start it "
            "(mlflow server), or leave out `mlflow`."
        ) from None
    return client


def is_address(text: str) -> bool:
    """Whether it can be one of a tracking server or store; a plain path cannot, since it might be anything."""
    return "://" in text or text == "databricks"


@contextmanager
def patience() -> Iterator[None]:
    """Within it MLflow gives up soon, unless the user's environment says how long it waits."""
    settings = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]


def without_password(uri: str) -> str:
    """An address without the name and the password in it."""
    scheme, separator, location = uri.partition("://")
    host, slash, path = location.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def public_reason(error: Exception) -> str:
    """The first line of an error's message, without the password of an address in it, of at most 300 characters."""
    return re.sub(r"//[^/@\s]*@", "//", first_line(error))[:300]


class Tracker:
    """Logs to one MLflow run, as an observer of a training, in the order of the calls.

    What cannot be sent waits: it is tried again at the end of an epoch, not more often than once a minute, and in
    `finish`.

    Args:
        client: MLflow's.
        run_id: of the MLflow run.
        where: the server or store, for people.
        say: receives one message when the server cannot be reached.
        known: metrics that the run has, by name and step; they are not sent again.
        clock: gives seconds.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what is logged, where, and when
        self,
        client: Any,
        run_id: str,
        where: str,
        say: Callable[[str], None],
        known: Mapping[tuple[str, int], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.run_id, self.where, self.say, self.clock = client, run_id, where, say, clock
        self._known = dict(known or {})
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._failed_at: float | None = None
        self._has_warned, self._refused = False, 0

    def on_step(self, step: object) -> None:
        """Steps are not logged."""

    def on_epoch(self, row: EpochFigures) -> None:
        """Logs an epoch's figures, with its number as the step."""
        self.log_metrics({name: value for name, value in row.items() if name != "epoch"}, int(row["epoch"]))

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Figures at a step; those that the run has already are left out."""
        from mlflow.entities import Metric

        timestamp = int(time.time() * 1000)
        new = {name: value for name, value in values.items() if self._known.get((name, step)) != value}
        self._known |= {(name, step): value for name, value in new.items()}
        if new:
            self._log("log_batch", metrics=[Metric(name, float(value), timestamp, step) for name, value in new.items()])

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log the settings of the run; MLflow lets nobody change them later."""
        from mlflow.entities import Param

        params = [Param(name, str(value)[:LONGEST_PARAM]) for name, value in values.items()]
        for start in range(0, len(params), MOST_PARAMS):
            self._log("log_batch", params=params[start : start + MOST_PARAMS])

    def log_tags(self, values: Mapping[str, object]) -> None:
        """Words about the run."""
        from mlflow.entities import RunTag

        self._log("log_batch", tags=[RunTag(name, str(value)) for name, value in values.items()])

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """A file or a whole folder, as an artifact."""
        self._log("log_artifact", local_path=str(path), artifact_path=folder)

    def finish(self, status: str) -> None:
        """Sends what waits, and ends the MLflow run.

        Args:
            status: FINISHED, KILLED or FAILED.
        """
        self._waiting.append(("set_terminated", {"status": status}))
        self._failed_at = None
        self._send()
        if self._waiting:
            self.say(f"MLflow at {self.where} is still away: {len(self._waiting)} entries are not logged there.")
        elif self._refused:
            self.say(f"MLflow at {self.where} did not take {self._refused} entries; they are in the run.")
        elif self._has_warned:
            self.say(f"MLflow at {self.where} is back, and everything is logged.")

    def _log(self, method: str, **values: Any) -> None:
        self._waiting.append((method, values))
        if self._failed_at is None or self.clock() - self._failed_at > PAUSE:
            self._send()

    def _send(self) -> None:
        """Everything that waits, in order, until it fails; what is refused is left out."""
        while self._waiting:
            method, values = self._waiting[0]
            try:
                with patience(), redirect_stdout(io.StringIO()):  # MLflow greets on standard output
                    getattr(self.client, method)(self.run_id, **values)
            except Exception as error:  # noqa: BLE001 - as in `connect`; no training is lost for its log
                if not is_refusal(error):
                    self._went(error)
                    return
                self._refuses(values, error)
            else:
                self._failed_at = None
            self._waiting.popleft()

    def _refuses(self, values: Mapping[str, Any], error: Exception) -> None:
        if not self._refused:
            self.say(f"MLflow at {self.where} does not take {', '.join(values)}: {public_reason(error)}.")
        self._refused += 1

    def _went(self, error: Exception) -> None:
        self._failed_at = self.clock()
        if not self._has_warned:
            self._has_warned = True
            self.say(
                f"MLflow at {self.where} cannot be reached now: {public_reason(error)}. The training goes on, and what "
                "is to be logged waits."
            )


def is_refusal(error: Exception) -> bool:
    """Whether the server has answered, and will not have this."""
    status = getattr(error, "get_http_status_code", lambda: None)()
    return status is not None and 400 <= status < 500  # noqa: PLR2004 - HTTP: the client's mistake
