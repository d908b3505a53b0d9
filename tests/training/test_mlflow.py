import os
import sys
from pathlib import Path
from typing import Any

import pytest

from eyespot.errors import MissingExtra, UsageError
from eyespot.training.mlflow import Tracker, connect, public_reason, without_password


class Refusal(Exception):  # noqa: N818 - as MLflow's, which is not at hand
    """What a server answers that will not have something."""

    def get_http_status_code(self) -> int:
        return 400


class Client:
    """Stands for MLflow's: takes files, unless it is away or does not like them."""

    def __init__(self) -> None:
        self.away, self.tries = False, 0
        self.taken: list[Any] = []

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None) -> None:
        self._take(local_path)

    def set_terminated(self, run_id: str, status: str) -> None:
        self._take(status)

    def _take(self, thing: str) -> None:
        self.tries += 1
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
        if self.away:
            raise ConnectionError("nobody at http://me:secret@host/api\nand so on")
        if thing == "bad":
            raise Refusal("too bad")
        self.taken.append(thing)


class Setting:
    """A tracker with a clock that is set by hand, and what it said."""

    def __init__(self) -> None:
        self.client, self.now, self.said = Client(), 0.0, list[str]()
        clock: Any = lambda: self.now  # noqa: E731 - one line
        self.tracker = Tracker(self.client, "id", "http://host", self.said.append, clock=clock)


def test_what_cannot_be_sent_waits_and_keeps_its_order():
    """While the server is away nothing is lost, and it is tried once a minute; then all is sent in order."""
    at = Setting()
    at.tracker.log_file(Path("a"))
    at.client.away = True
    for name in "bcd":
        at.tracker.log_file(Path(name))
    assert at.client.tries == 2
    at.now = 61
    at.tracker.log_file(Path("e"))
    assert at.client.tries == 3
    at.client.away, at.now = False, 122
    at.tracker.log_file(Path("f"))
    assert at.client.taken == list("abcdef")
    at.tracker.finish("FINISHED")
    assert at.client.taken[-1] == "FINISHED"
    assert [sentence.count("cannot be reached now") for sentence in at.said] == [1, 0]
    assert at.said[-1] == "MLflow at http://host is back, and everything is logged."


def test_the_end_tries_once_more():
    """At the end what waits is sent whenever it was last tried; what then still waits is counted."""
    at = Setting()
    at.client.away = True
    at.tracker.log_file(Path("a"))
    at.tracker.finish("KILLED")
    assert at.client.tries == 2
    assert at.said[-1] == "MLflow at http://host is still away: 2 entries are not logged there."


def test_what_is_refused_holds_nothing_up():
    """An entry that the server will not have is told once, with the reason, and left out."""
    at = Setting()
    for name in ("bad", "a", "bad"):
        at.tracker.log_file(Path(name))
    at.tracker.finish("FINISHED")
    assert at.client.taken == ["a", "FINISHED"]
    assert "does not take" in at.said[0]
    assert "too bad" in at.said[0]
    assert at.said[1:] == ["MLflow at http://host did not take 2 entries; they are in the run."]


def test_nothing_is_said_where_all_goes_well():
    """A tracker that reaches its server is silent."""
    at = Setting()
    at.tracker.log_file(Path("a"))
    at.tracker.finish("FINISHED")
    assert at.said == []
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_passwords_are_not_told():
    """Neither an address nor an error that names it shows a password."""
    assert without_password("http://me:secret@host:5000/x") == "http://host:5000/x"
    assert without_password("postgresql://me:s@cret@host/db?password=secret") == "postgresql://host/db"
    assert without_password("sqlite:///folder/mlflow.db") == "sqlite:///folder/mlflow.db"
    at = Setting()
    at.client.away = True
    at.tracker.log_file(Path("a"))
    assert "secret" not in at.said[0]
    assert public_reason(ValueError()) == "ValueError"


def test_without_mlflow_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    """Where MLflow is not installed, and where the address is none, a sentence says what to do."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'eyespot\[mlflow\]'"):
        connect("sqlite:///mlflow.db")
    with pytest.raises(UsageError, match="runs is no address of MLflow"):
        connect("runs")
