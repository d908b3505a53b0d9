"""Counters, logs and health."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from eyespot.serving.guard import Access
from eyespot.serving.prometheus import MOST_LABELS, OTHER, Metrics
from tests.serving import raw
from tests.serving.conftest import CORRECTIONS, OCCLUSION, PREDICT, Running, Start, digit

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
ROUTES = {
    PREDICT: "/v1/models/{name}/predict", OCCLUSION: "/v1/models/{name}/occlusion", "/v1/models": "/v1/models",
    CORRECTIONS: "/v1/models/{name}/corrections", "/v1/models/x/predict": "/v1/models/{name}/predict",
    "/health/live": "/health/live", "/nowhere": "(none)", "/v1/models/digits": "/v1/models/{name}",
}  # fmt: skip


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_are_what_clients_saw(start: Start):
    """Of 200 requests of all kinds by eight clients at a time, every status, label and reason is counted exactly."""
    running = start(body_bytes=2000, concurrent=6)
    kinds = [
        ("POST", PREDICT, digit(7)), ("POST", PREDICT, digit(3)), ("POST", f"{PREDICT}?top=2&reject=true", digit(0)),
        ("POST", PREDICT, b"no picture"), ("POST", PREDICT, b"x" * 3000), ("POST", f"{PREDICT}?nonsense=1", b""),
        ("POST", OCCLUSION, digit(1)), ("POST", f"{CORRECTIONS}?label=7", digit(7)), ("POST", CORRECTIONS, digit(7)),
        ("POST", "/v1/models/x/predict", digit(7)), ("GET", "/v1/models", b""), ("GET", "/health/live", b""),
        ("GET", "/nowhere", b""), ("PUT", PREDICT, b""), ("DELETE", "/v1/models/digits", b""),
    ]  # fmt: skip
    random = Random(1)  # noqa: S311 - no secrets
    asked = [random.choice(kinds) for _ in range(200)]

    def ask(kind: tuple[str, str, bytes]) -> tuple[tuple[str, str, bytes], httpx.Response]:
        method, path, body = kind
        return kind, running.client.request(method, path, content=body or None)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(ask, asked))
    found = samples(running.client.get("/metrics").text)
    requests: Counter[tuple[str, str, str]] = Counter()
    labels: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for (method, path, _), answer in seen:
        requests[ROUTES[path.partition("?")[0]], method, str(answer.status_code)] += 1
        if answer.status_code >= 400:
            reasons[answer.json()["reason"]] += 1
        elif path.startswith(PREDICT):
            labels.update(one["label"] for one in answer.json()["predictions"])
    assert len(reasons) >= 6
    for (route, method, status), count in requests.items():
        key = (("method", method), ("route", route), ("status", status))
        assert found["eyespot_requests_total", key] == count
    assert sum(value for (name, _), value in found.items() if name == "eyespot_requests_total") == 200
    assert {
        dict(key)["reason"]: value for (name, key), value in found.items() if name == "eyespot_refused_total"
    } == reasons
    counted = {dict(key)["label"]: value for (name, key), value in found.items() if name == "eyespot_predictions_total"}
    assert counted == labels
    assert found["eyespot_pictures_total", (("model", "digits"),)] == labels.total()
    timed = sum(value for (name, _), value in found.items() if name == "eyespot_request_seconds_count")
    assert timed == 200
    assert found["eyespot_requests_in_flight", ()] == 0
    assert found["eyespot_model_loads_total", (("model", "digits"), ("outcome", "loaded"))] == 1
    assert found["process_resident_memory_bytes", ()] > 1e7


def test_what_is_no_http_is_counted(start: Start):
    """Its answer has the same form as any refusal."""
    running = start()
    got = raw.ask(running.port, b"nonsense\r\n\r\n")
    assert got is not None
    assert (got.status, got.json()["reason"], got.headers["content-type"]) == (400, "http", "application/problem+json")
    key = (("method", "(other)"), ("route", "(none)"), ("status", "400"))
    assert samples(running.client.get("/metrics").text)["eyespot_requests_total", key] == 1


def test_labels_are_bounded():
    """A model of a thousand classes does not make a thousand counters; label values are escaped."""
    metrics = Metrics()
    metrics.predictions("m", ["a\nb", 'q"\\', *map(str, range(1000))], 1)
    found = samples(metrics.text().decode())
    counted = {dict(key)["label"]: value for (name, key), value in found.items() if name == "eyespot_predictions_total"}
    assert len(counted) == MOST_LABELS + 1
    assert counted["a\nb"] == counted['q"\\'] == 1
    assert counted[OTHER] == 1002 - MOST_LABELS


def test_a_request_is_one_line_of_the_log(start: Start):
    """With what helps to find it again, and nothing of the picture, its name, the label or the rest of the query."""
    running = start()
    secret = "my-secret-name"  # noqa: S105 - it is looked for
    headers = {"x-request-id": "abc-1.2"}
    answer = running.client.post(f"{PREDICT}?top=1", files={secret: (f"{secret}.png", digit(7))}, headers=headers)
    assert answer.headers["x-request-id"] == "abc-1.2"
    odd = running.client.post(f"{CORRECTIONS}?label={secret}", content=b"", headers={"x-request-id": "a b"})
    assert odd.headers["x-request-id"] != "a b"
    first, second = running.log()
    assert set(first) == {"time", "method", "route", "status", "ms", "bytes_in", "id"}
    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/models/{name}/predict", 200)
    assert first["bytes_in"] == int(answer.request.headers["content-length"])
    assert first["id"] == "abc-1.2"
    assert (second["status"], second["reason"], second["id"]) == (422, "label", odd.headers["x-request-id"])
    assert secret not in running.lines.getvalue()


def test_a_refusal_is_logged_under_its_address(start: Start):
    """Also where it comes before the router: the route is one of few, whatever clients ask for."""
    running = start(access=Access(token="secret"))  # noqa: S106 - of a test
    for path in (PREDICT, "/v1/models/x/predict", "/v1/nowhere"):
        assert running.client.post(path, content=digit(7)).status_code == 401
    routes = [(line["route"], line["status"], line["reason"]) for line in running.log()]
    predict = ("/v1/models/{name}/predict", 401, "token")
    assert routes == [predict, predict, ("(none)", 401, "token")]


def test_a_fault_is_logged_and_not_shown(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Whatever goes wrong inside, the client gets a sentence, the log what happened, the next request its answer."""
    running = start()
    served = running.service.models["digits"]

    def broken(images: object) -> None:
        raise ZeroDivisionError("secret words")

    with monkeypatch.context() as patch:
        patch.setattr(served.current.predictor, "probabilities", broken)
        patch.setattr(type(served), "describe", broken)
        answers = [running.client.post(PREDICT, content=digit(7)), running.client.get("/v1/models")]
    for answer in answers:
        assert (answer.status_code, answer.json()["reason"]) == (500, "fault")
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
    faults: list[dict[str, object]] = []
    for _ in range(500):  # the log may come after the answer
        faults = [line for line in running.log() if line.get("level") == "error"]
        if len(faults) == len(answers):
            break
        time.sleep(0.01)
    assert [line["id"] for line in faults] == [answer.headers["x-request-id"] for answer in answers]
    assert all("ZeroDivisionError: secret words" in str(line["trace"]) for line in faults)
    assert running.client.post(PREDICT, content=digit(7)).status_code == 200


def test_a_client_that_goes_is_499(start: Start):
    """Nobody saw an answer, and none is claimed."""
    running = start()
    with raw.connect(running.port) as connection:
        connection.sendall(raw.head("POST", PREDICT, "Content-Length: 100") + b"x")
        for _ in range(500):
            if running.service.in_flight:
                break
            time.sleep(0.01)
    for _ in range(500):
        if any(line.get("status") == 499 for line in running.log()):
            break
        time.sleep(0.01)
    assert [line["status"] for line in running.log()] == [499]
    assert running.service.in_flight == 0


def test_health(shared: Running):
    """Alive and ready, as JSON."""
    assert shared.client.get("/health/live").json() == {"status": "live"}
    assert json.loads(shared.client.get("/health/ready").content) == {"status": "ready"}
