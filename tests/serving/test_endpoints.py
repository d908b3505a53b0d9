"""What is answered to pictures, in every way of sending them."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.inference.ood import NONE_OF_THESE
from eyespot.inference.predictor import Predictor
from eyespot.serving.served_models import Deployment
from tests.serving.conftest import OCCLUSION, PNG, PREDICT, Running, Start, client_of, digit, png
from tests.serving.models import digits, write_model

SEVEN = digit(7)


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def as_predicted(predictor: Predictor, content: bytes, **options: Any) -> list[dict[str, Any]]:
    """What `Predictor.predict` says, in the server's form."""
    told = [one.to_dict() for one in predictor.predict([("0", content)], **options)]
    return [{"picture": one.pop("file"), **one} for one in told]


@pytest.fixture(scope="module")
def predictor(model_folder: Path) -> Predictor:
    return Predictor(model_folder / "model.onnx", threads=1)


def test_digits_are_read(shared: Running):
    """Of the test set's pictures, sent as files of a form, at least nine in ten are read right."""
    _, test = digits()
    files = [("picture", (f"{row}.png", png(np.asarray(test.images[row])))) for row in range(100)]
    answer = shared.client.post(PREDICT, files=files).json()
    assert [one["picture"] for one in answer["predictions"]] == [f"{row}.png" for row in range(100)]
    right = [one["label"] == str(label) for one, label in zip(answer["predictions"], test.labels, strict=False)]
    assert sum(right) >= 90


def test_all_ways_of_sending_have_one_answer(shared: Running, predictor: Predictor):
    """Raw, in a form and as base64, one picture gets the answer of `Predictor.predict`, to the last bit."""
    expected: dict[str, Any] = {"model": "digits", "predictions": as_predicted(predictor, SEVEN, top=3)}
    assert expected["predictions"][0]["label"] == "7"
    for headers in (PNG, {"content-type": "image/jpeg"}, {"content-type": "application/octet-stream"}, {}):
        assert shared.client.post(PREDICT, content=SEVEN, headers=headers).json() == expected
    encoded = base64_of(SEVEN)
    for values in ({"picture": encoded}, {"pictures": [encoded]}):
        assert shared.client.post(PREDICT, json=values).json() == expected
    named = shared.client.post(PREDICT, files={"x": ("my seven.png", SEVEN)}).json()
    assert named["predictions"][0] == {**expected["predictions"][0], "picture": "my seven.png"}


@pytest.mark.parametrize("options", [{}, {"reject": True}, {"reject_rate": 0.3}, {"as_is": True}, {"top": 10}])
def test_options_mean_what_they_mean_to_predict(shared: Running, predictor: Predictor, options: dict[str, Any]):
    """Every option gives what `Predictor.predict` gives with it, for digits, noise, and a blank photograph."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    given = dict(options)
    rate = given.pop("reject_rate", None)
    if rate:
        given["reject"] = rate
    for content in (SEVEN, png(noise), png(np.full((50, 50), 255, np.uint8))):
        expected = as_predicted(predictor, content, **{"top": 3, **given})
        answer = shared.client.post(PREDICT, content=content, headers=PNG, params=options)
        assert answer.json()["predictions"] == expected


def test_a_strange_picture_is_none_of_these(shared: Running):
    """With reject, noise has the label that says so, and its top classes are still told."""
    noise = png(np.random.default_rng(2).integers(0, 256, (8, 8)).astype(np.uint8))
    (told,) = shared.client.post(f"{PREDICT}?reject=true&as_is=true", content=noise).json()["predictions"]
    assert told["label"] == NONE_OF_THESE
    assert told["rejected"]
    assert told["strangeness"] > told["threshold"]
    assert len(told["top"]) == 3


def test_top_is_at_most_all_classes(shared: Running):
    """A larger number names them all."""
    for top, named in ((1, 1), (10, 10), (11, 10), (1000, 10)):
        (told,) = shared.client.post(f"{PREDICT}?top={top}", content=SEVEN).json()["predictions"]
        assert len(told["top"]) == named


def test_what_the_model_sees_can_be_seen(shared: Running):
    """With seen, a picture comes back at the model's size: one of that size unchanged."""
    (told,) = shared.client.post(f"{PREDICT}?seen=true&as_is=true", content=SEVEN).json()["predictions"]
    seen = Image.open(io.BytesIO(base64.b64decode(told["seen"])))
    assert np.array_equal(np.asarray(seen), np.asarray(Image.open(io.BytesIO(SEVEN))))


def test_each_object_has_its_box(shared: Running, predictor: Predictor):
    """With each, two digits on one photograph are two predictions, as of `Predictor.predict`."""
    sheet = np.full((200, 400), 235, np.uint8)
    for place, label in ((40, 3), (240, 7)):
        drawn = Image.open(io.BytesIO(digit(label))).resize((120, 120), Image.Resampling.BICUBIC)
        sheet[40:160, place : place + 120] -= (np.asarray(drawn) * 0.8).astype(np.uint8)
    content = png(sheet)
    told = shared.client.post(f"{PREDICT}?each=true", content=content).json()["predictions"]
    assert told == as_predicted(predictor, content, top=3, each=True)
    assert [one["picture"] for one in told] == ["0", "0"]
    assert told[0]["box"][2] <= told[1]["box"][0]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("top=0", "top must be a whole number from 1 to 1,000; received '0'"),
        ("top=1001", "from 1 to 1,000"),
        ("top=1e3", "from 1 to 1,000"),
        ("top=%C2%B2", "from 1 to 1,000"),
        ("top=9999999999999999999", "from 1 to 1,000"),
        ("reject=maybe", "reject must be true or false; received 'maybe'"),
        ("reject_rate=nan", "reject_rate must be a number between 0 and 1"),
        ("reject_rate=inf", "between 0 and 1"),
        ("reject_rate=0", "between 0 and 1"),
        ("reject_rate=1", "between 0 and 1"),
        ("tops=3", "no option named 'tops'. Did you mean 'top'?"),
        ("top=3&top=4", "top is there twice"),
        ("top=%FF", "not UTF-8"),
        ("&".join(f"x{number}=1" for number in range(30)), "more than 20 options"),
    ],
)
def test_options_that_cannot_be_are_told(shared: Running, query: str, said: str):
    """A misspelt option, or a value it cannot have, is refused before the body is read, and named."""
    answer = shared.client.post(f"{PREDICT}?{query}", content=SEVEN)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "query"
    assert said in answer.json()["detail"]


def test_an_empty_label_is_none(shared: Running):
    """A form of a page may send it; of other options, an empty value is none that they can have."""
    assert shared.client.post(f"{OCCLUSION}?label=", content=SEVEN).status_code == 200
    for option in ("top", "reject", "reject_rate"):
        assert shared.client.post(f"{PREDICT}?{option}=", content=SEVEN).status_code == 422


def test_the_picture_that_cannot_be_read_is_named(shared: Running):
    """Of several, the refusal says which one, by name or number, and by its index."""
    files = [("p", ("good.png", SEVEN)), ("p", ("bad.png", b"no picture"))]
    answer = shared.client.post(PREDICT, files=files)
    assert (answer.status_code, answer.json()["picture"]) == (422, 1)
    assert answer.json()["detail"] == "bad.png is not an image that can be opened."
    answer = shared.client.post(PREDICT, json={"pictures": [base64_of(SEVEN), base64_of(SEVEN[:60])]})
    assert (answer.status_code, answer.json()["picture"]) == (422, 1)
    assert answer.json()["detail"].startswith("Picture 1 is truncated or damaged")


@pytest.mark.parametrize(
    ("content_type", "body", "status", "said"),
    [
        ("image/png", b"", 422, "no picture"),
        ("text/plain", b"x", 415, "'text/plain', which is not taken"),
        ("application/x-www-form-urlencoded", SEVEN, 415, "add: -H 'Content-Type: image/png'"),
        ("application/json", b"{", 422, "not JSON"),
        ("application/json", b"\xff\xfe", 422, "not JSON"),
        ("application/json", b"[]", 422, "another form"),
        ("application/json", b"{}", 422, "another form"),
        ("application/json", b"NaN", 422, "another form"),
        ("application/json", b'{"pictures": []}', 422, "no picture"),
        ("application/json", b'{"pictures": "x"}', 422, "another form"),
        ("application/json", b'{"pictures": [1]}', 422, "Picture 0 of the JSON is no text"),
        ("application/json", b'{"picture": "?"}', 422, "not base64"),
        ("application/json", b'{"picture": "QUJD="}', 422, "not base64"),
        ("application/json", '{"picture": "é"}'.encode(), 422, "not base64"),
        ("application/json", b'{"picture": ""}', 422, "no picture"),
        ("application/json", b'{"picture": "QUJD", "more": 1}', 422, "another form"),
        ("application/json", b"[" * 100_000, 413, "parts that are none"),
        ("multipart/form-data", b"x", 422, "no boundary"),
        ("multipart/form-data; boundary=" + "b" * 71, b"x", 422, "no boundary"),
        ("multipart/form-data; boundary=b", b"x", 422, "damaged"),
        ("multipart/form-data; boundary=b", b"", 422, "truncated"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422, "no picture"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="x"; filename="a"\r\n\r\nabc',
            422,
            "truncated",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="top"\r\n\r\n3\r\n--b--\r\n',
            422,
            "part 'top' is no file",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nx: " + b"y" * 20_000, 422, "damaged"),
    ],
)
def test_bodies_that_are_not_what_they_say(shared: Running, content_type: str, body: bytes, status: int, said: str):
    """Each is refused with a sentence that says what is wrong with it."""
    answer = shared.client.post(PREDICT, content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert set(answer.json()) >= {"type", "title", "status", "detail", "reason"}


def test_a_model_that_cannot_reject_says_so(start: Start, tmp_path: Path):
    """It is told before the picture is looked at."""
    running = start(Deployment("plain", write_model(tmp_path / "plain").parent))
    answer = running.client.post("/v1/models/plain/predict?reject=true", content=b"")
    assert (answer.status_code, answer.json()["reason"]) == (409, "cannot_reject")
    assert not running.client.get("/v1/models/plain").json()["rejects"]


def test_occlusion_is_that_of_a_linear_model(shared: Running, predictor: Predictor):
    """The map is of the picture's size; it has the logit of the class that is asked for."""
    told = shared.client.post(OCCLUSION, content=SEVEN).json()
    pixels = np.asarray(Image.open(io.BytesIO(SEVEN)))[None, ..., None]
    logits, _ = predictor.logits_and_probabilities(pixels)
    assert (told["label"], told["logit"]) == ("7", float(logits[0, 7]))
    assert np.asarray(told["map"]).shape == (8, 8)
    other = shared.client.post(f"{OCCLUSION}?label=1", content=SEVEN).json()
    assert (other["label"], other["logit"]) == ("1", float(logits[0, 1]))
    assert other["map"] != told["map"]


def test_occlusion_wants_one_picture_and_a_class_it_has(shared: Running):
    """Two pictures, or another class, are refused with a sentence."""
    answer = shared.client.post(f"{OCCLUSION}?label=x", content=SEVEN)
    assert "no class 'x': label must be one of 0, 1" in answer.json()["detail"]
    answer = shared.client.post(OCCLUSION, files=[("a", ("a", SEVEN)), ("b", ("b", SEVEN))])
    assert (answer.status_code, answer.json()["detail"]) == (422, "One picture is asked for here; received 2.")


def test_class_names_may_be_any_text(start: Start, tmp_path: Path):
    """Markup, Chinese, quotes and half a surrogate pair come back as they are."""
    names = ("<b>", "七", 'a"b', "\ud800", "a/b", "", "\x00", "x" * 300, "ok", "9")
    running = start(Deployment("odd", write_model(tmp_path / "odd", names).parent))
    answer = running.client.post("/v1/models/odd/predict?top=10", content=SEVEN)
    told = json.loads(answer.content)
    assert {one["label"] for one in told["predictions"][0]["top"]} == set(names)
    assert tuple(json.loads(running.client.get("/v1/models").content)["models"][0]["classes"]) == names


@pytest.mark.parametrize("times", [5, pytest.param(25, marks=pytest.mark.slow)])
def test_clients_that_ask_at_once_have_each_its_own_answer(start: Start, predictor: Predictor, times: int):
    """Whichever way 8 clients ask at once, raw, as JSON and in a form of two, each answer is that of its picture."""
    running, own = start(), [digit(label) for label in range(8)]
    expected = [as_predicted(predictor, content, top=3)[0] for content in own]

    def answers(client: int) -> list[bool]:
        content, other = own[client], (client + 1) % len(own)
        right = []
        with client_of(running.address) as asking:
            for _ in range(times):
                raw = asking.post(PREDICT, content=content, headers=PNG).json()["predictions"]
                told = asking.post(PREDICT, json={"picture": base64_of(content)}).json()["predictions"]
                files = [("x", ("0", content)), ("x", ("0", own[other]))]
                both = asking.post(PREDICT, files=files).json()["predictions"]
                right += [raw == told == [expected[client]], both == [expected[client], expected[other]]]
                scores = asking.post(OCCLUSION, content=content, headers=PNG).json()
                right.append(scores["label"] == expected[client]["label"])
        return right

    with ThreadPoolExecutor(len(own)) as pool:
        found = [one for client in pool.map(answers, range(len(own))) for one in client]
    assert found.count(False) == 0
