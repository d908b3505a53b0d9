"""A run that is trained again while it is served."""

import shutil
import threading
import time
from pathlib import Path

from eyespot.files import replacing
from eyespot.serving.served import Offer
from tests.serving.conftest import Running, Start, digit
from tests.serving.models import write_model

PREDICT = "/v1/models/digits/predict"
SEVEN = digit(7)


def label(running: Running) -> str:
    answer = running.client.post(PREDICT, content=SEVEN)
    assert answer.status_code == 200
    return str(answer.json()["predictions"][0]["label"])


def waited_for(running: Running, expected: str, seconds: float = 5) -> float:
    started = time.monotonic()
    while label(running) != expected:
        assert time.monotonic() - started < seconds
        time.sleep(0.02)
    return time.monotonic() - started


def own(start: Start, tmp_path: Path) -> Running:
    write_model(tmp_path / "digits")
    return start(Offer("digits", tmp_path / "digits"))


def test_a_replaced_model_is_taken_up_without_losing_a_request(start: Start, tmp_path: Path):
    """Within a second or two of a replacement, answers are the new model's; no request fails meanwhile."""
    running, failures, stop = own(start, tmp_path), [], threading.Event()
    assert label(running) == "7"

    def ask() -> None:
        while not stop.is_set():
            answer = running.client.post(PREDICT, content=SEVEN)
            if answer.status_code != 200 or answer.json()["predictions"][0]["label"] not in {"7", "2"}:
                failures.append(answer)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    loaded = running.client.get("/v1/models/digits").json()["loaded"]
    time.sleep(1)
    for swapped in (True, False, True):
        write_model(tmp_path / "digits", swapped=swapped)
        assert waited_for(running, "2" if swapped else "7") < 4
    stop.set()
    for asker in askers:
        asker.join()
    assert failures == []
    assert running.client.get("/v1/models/digits").json()["loaded"] > loaded
    assert running.service.counts.loads["digits", "loaded"] == 4


def test_a_broken_replacement_keeps_the_old_model(start: Start, tmp_path: Path):
    """It is told in one line, not again and again; the server stays ready; a good one is then taken up."""
    running = own(start, tmp_path)
    with replacing(tmp_path / "digits" / "model.onnx") as sibling:
        sibling.write_bytes(b"no model")
    time.sleep(1.8)
    assert label(running) == "7"
    assert running.client.get("/health/ready").status_code == 200
    (told,) = [line for line in running.log() if "event" in line]
    assert told["event"].startswith("digits is served on as it was loaded: ")
    assert "is not an ONNX model" in told["event"]
    assert running.service.counts.loads["digits", "failed"] == 1
    write_model(tmp_path / "digits", swapped=True)
    waited_for(running, "2")


def test_a_model_that_is_gone_is_served_on(start: Start, tmp_path: Path):
    """Also where its folder is; and when it is back, it is looked at again."""
    running = own(start, tmp_path)
    shutil.move(tmp_path / "digits", tmp_path / "away")
    time.sleep(1.8)
    assert label(running) == "7"
    (told,) = [line for line in running.log() if "event" in line]
    assert "is gone" in told["event"]
    write_model(tmp_path / "digits", swapped=True)
    waited_for(running, "2")


def test_a_model_of_other_classes_is_another_model(start: Start, tmp_path: Path):
    """Its names are told from then on."""
    running = own(start, tmp_path)
    names = tuple("abcdefghij")
    write_model(tmp_path / "digits", names)
    waited_for(running, "h")
    assert running.client.get("/v1/models/digits").json()["classes"] == list(names)
