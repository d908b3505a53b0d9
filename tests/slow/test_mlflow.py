"""Runs logged to MLflow: to a database, and to a real server that is started, killed and started again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from eyespot import Dataset, Recipe, train
from eyespot.errors import DivergedError, TrackingError
from eyespot.training.fit import StepProgress
from eyespot.training.history import EpochFigures
from tests.conftest import Answer

pytest.importorskip("mlflow", reason="needs the extra mlflow: make test-slow installs it")

pytestmark = [
    pytest.mark.slow,
    # MLflow's own: SQLAlchemy's deprecations, connections and files that it leaves to the garbage collector.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SHORT = Recipe.parse({"model": {"name": "mlp"}, "training": {"epochs": 3, "precision": "float32"}})
BUILT_HERE = Path(__file__).parents[2] / ".venv-mlflow" / "bin" / "mlflow"
SERVER = os.environ.get("EYESPOT_MLFLOW") or (str(BUILT_HERE) if BUILT_HERE.exists() else None)
needs_server = pytest.mark.skipif(
    SERVER is None or shutil.which(SERVER) is None,
    reason="needs MLflow's server: make test-slow installs it in .venv-mlflow; or set EYESPOT_MLFLOW to the program",
)


@dataclass
class Server:
    """A tracking server that can be killed and started again where it was."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            SERVER or "", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder}/server.db",
            "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTEST_CURRENT_TEST"}}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=plain, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()  # noqa: S310 - our own server
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
                time.sleep(0.2)
            else:
                return
        raise TimeoutError((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def get(self, path: str) -> Any:
        address = f"{self.url}/api/2.0/mlflow/{path}"
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - our own server
            return json.load(answer)

    def history(self, run: str, metric: str) -> list[tuple[int, float]]:
        told = self.get(f"metrics/get-history?run_id={run}&metric_key={metric}")
        return [(int(one.get("step", 0)), one["value"]) for one in told["metrics"]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", port)
    server.start()
    yield server
    server.kill()


@dataclass(frozen=True)
class After:
    """Does something at the end of an epoch."""

    epoch: int
    do: Callable[[], object]

    def on_step(self, step: StepProgress) -> None:
        """Nothing."""

    def on_epoch(self, row: EpochFigures) -> None:
        if row["epoch"] == self.epoch:
            self.do()


def run_id(path: Path) -> str:
    return str(json.loads((path / "mlflow.json").read_text())["run_id"])


@needs_server
def test_a_run_is_read_back_from_the_server(server: Server, bars: Dataset, tmp_path: Path):
    """Recipe, epochs, final figures with intervals, verdict and files are there, through the REST API."""
    run = train(bars, SHORT, tmp_path / "r", mlflow=server.url).run
    theirs = server.get(f"runs/get?run_id={run_id(run.path)}")["run"]
    params = {one["key"]: one["value"] for one in theirs["data"]["params"]}
    assert (params["model.name"], params["training.epochs"], params["training.optimizer"]) == ("mlp", "3", "adam")
    assert not [name for name in params if name.startswith(("published", "description"))]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"):
        expected = list(zip([1, 2, 3], run.history.column(name), strict=True))
        assert server.history(run_id(run.path), name) == expected
    metrics = {one["key"]: one["value"] for one in theirs["data"]["metrics"]}
    test = run.metrics["test"]
    assert metrics["test/accuracy"] == test["accuracy"]
    assert [metrics["test/accuracy_low"], metrics["test/accuracy_high"]] == test["accuracy_interval"]
    assert metrics["validation/loss"] == run.metrics["validation"]["loss"]
    tags = {one["key"]: one["value"] for one in theirs["data"]["tags"]}
    assert tags["verdict"] == run.metrics["verdict"]["fit"]
    assert tags["mlflow.note.content"] == run.metrics["verdict"]["sentence"]
    assert tags["dataset_sha256"] == bars.fingerprint
    assert tags["eyespot"] == run.environment["packages"]["eyespot"]
    assert tags["run_path"] == str(run.path)
    assert (theirs["info"]["status"], theirs["info"]["run_name"]) == ("FINISHED", "r")
    files = {one["path"] for one in server.get(f"artifacts/list?run_id={run_id(run.path)}")["files"]}
    assert files == {"recipe.yaml", "metrics.json", "model.onnx", "figures"}
    for name in ("model.onnx", "figures/curves.png", "recipe.yaml"):
        stored = next((server.folder / "artifacts").rglob(f"artifacts/{name}"))
        assert stored.read_bytes() == (run.path / name).read_bytes()


@needs_server
def test_a_server_that_goes_and_comes_back_has_everything(
    server: Server, bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Killed during the first epoch and back before the end, it is told of all epochs; its absence is told once."""
    comings = [After(1, server.kill), After(3, server.start)]
    run = train(bars, SHORT, tmp_path / "r", mlflow=server.url, observers=comings).run
    assert [step for step, _ in server.history(run_id(run.path), "loss")] == [1, 2, 3]
    assert server.get(f"runs/get?run_id={run_id(run.path)}")["run"]["info"]["status"] == "FINISHED"
    printed = capsys.readouterr().out
    assert printed.count("cannot be reached now") == 1
    assert "is back, and everything is logged" in printed


@needs_server
def test_a_server_that_stays_away_costs_nothing(
    server: Server, bars: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A training whose server is killed for good ends as any other, in seconds, and says that entries are missing."""
    plain = train(bars, SHORT, tmp_path / "plain").run
    started = time.monotonic()
    run = train(bars, SHORT, tmp_path / "r", mlflow=server.url, observers=[After(1, server.kill)]).run
    assert time.monotonic() - started < 60
    assert run.history.column("val_loss") == plain.history.column("val_loss")
    assert run.metrics["test"] == plain.metrics["test"]
    printed = capsys.readouterr().out
    assert printed.count("cannot be reached now") == 1
    assert "is still away: " in printed


@needs_server
def test_a_resumed_run_goes_on_in_the_same_mlflow_run(server: Server, bars: Dataset, tmp_path: Path):
    """Stopped while the server is away and resumed when it is back, there is one MLflow run, with each epoch once."""

    def stop() -> None:
        server.kill()
        os.kill(os.getpid(), signal.SIGINT)

    first = train(bars, SHORT, tmp_path / "r", mlflow=server.url, observers=[After(2, stop)])
    assert first.outcome.ending == "interrupted"
    before = run_id(first.run.path)
    server.start()
    assert [step for step, _ in server.history(before, "loss")] == [1]
    run = train(bars, resume=first.run.path, mlflow=server.url).run
    assert run_id(run.path) == before
    assert [step for step, _ in server.history(before, "loss")] == [1, 2, 3]
    assert server.get(f"runs/get?run_id={before}")["run"]["info"]["status"] == "FINISHED"
    assert len(server.get("experiments/get-by-name?experiment_name=eyespot-bars")["experiment"]) > 0


def test_a_file_is_enough(eyespot: Callable[..., Answer], here: Path, monkeypatch: pytest.MonkeyPatch):
    """`--mlflow` alone logs to sqlite:///mlflow.db; standard output stays one line of JSON."""
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    answer = eyespot("train", "--mlflow", "digits", "--model", "mlp", "--epochs", 2, "--output", "r", "--json")
    told = json.loads(answer.out)
    assert (here / "mlflow.db").exists()
    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    theirs = client.get_run(run_id(here / "r"))
    assert theirs.data.metrics["test/accuracy"] == told["test_accuracy"]
    assert [metric.step for metric in client.get_metric_history(run_id(here / "r"), "val_loss")] == [1, 2]
    assert {file.path for file in client.list_artifacts(run_id(here / "r"))} >= {"model.onnx", "recipe.yaml"}
    assert client.get_experiment(theirs.info.experiment_id).name == "eyespot-digits"


def test_what_changed_on_resuming_is_a_tag(bars: Dataset, here: Path, capsys: pytest.CaptureFixture[str]):
    """No parameter can change in MLflow, so more epochs are a tag of the run; nothing is sent without being asked."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{here}/mlflow.db"
    run = train(bars, SHORT, here / "r", mlflow=uri, early_stopping=False).run
    train(bars, resume=run.path, accept_changes=True, epochs=4, mlflow=uri)
    theirs = MlflowClient(tracking_uri=uri).get_run(run_id(run.path))
    assert theirs.data.params["training.epochs"] == "3"
    assert theirs.data.tags["changed.training.epochs"] == "4"
    history = MlflowClient(tracking_uri=uri).get_metric_history(run_id(run.path), "loss")
    assert [metric.step for metric in history] == [1, 2, 3, 4]
    capsys.readouterr()
    train(bars, resume=run.path, accept_changes=True, epochs=5)
    assert "was logged to MLflow so far, and is not now" in capsys.readouterr().out
    assert len(MlflowClient(tracking_uri=uri).get_metric_history(run_id(run.path), "loss")) == 4


def test_a_divergence_is_logged_as_a_failure(bars: Dataset, here: Path):
    """A training that diverges at once has its verdict in MLflow, and has failed there."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{here}/mlflow.db"
    with pytest.raises(DivergedError):
        train(bars, SHORT, here / "r", mlflow=uri, optimizer="sgd", learning_rate=1e30)
    theirs = MlflowClient(tracking_uri=uri).get_run(run_id(here / "r"))
    assert (theirs.info.status, theirs.data.tags["verdict"]) == ("FAILED", "diverged")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////dev/null/mlflow.db", "nonsense://x"])
def test_a_server_that_cannot_be_reached_is_told_before_anything_is_trained(bars: Dataset, tmp_path: Path, uri: str):
    """Nobody at the address: one sentence, at once, and no run."""
    with pytest.raises(TrackingError, match="MLflow does not answer at"):
        train(bars, SHORT, tmp_path / "r", mlflow=uri)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("own", "told"), [(None, "True None"), ("false", "False")])
def test_mlflow_reports_to_nobody_unless_the_user_says_so(own: str | None, told: str):
    """After `import eyespot`, MLflow's telemetry is off, where a test or a CI would not turn it off anyway."""
    kept = {"PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LANG"}
    plain = {name: value for name, value in os.environ.items() if name in kept}
    code = "import eyespot, os; from mlflow.telemetry import get_telemetry_client as client, utils; "
    if own:  # without its import, which would begin to report
        code = "import os, eyespot.training.mlflow; print(os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true')"
        plain["MLFLOW_DISABLE_TELEMETRY"] = own
    else:
        code += "print(utils.is_telemetry_disabled(), client())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain)
    assert done.stdout.strip() == told
