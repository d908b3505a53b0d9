"""Pictures of the test set."""

import base64
import io
import time

import numpy as np
from PIL import Image

from eyespot.serving.served_models import Deployment, Examples, choose_examples
from tests.serving.conftest import Start
from tests.serving.models import digits

EXAMPLES = "/v1/models/digits/examples"


def test_a_few_of_each_class(start: Start, model_folder):
    """The first of each class, then the second: always the same, loaded once, as the pictures that they are."""
    _, test = digits()
    loads = []

    def load() -> Examples:
        loads.append(time.sleep(0.2))
        return Examples(np.asarray(test.images), test.labels, "They are real.")

    client = start(Deployment("digits", model_folder, None, load)).client
    told = client.get(f"{EXAMPLES}?count=12").json()
    assert told == client.get(f"{EXAMPLES}?count=12").json()
    assert told["note"] == "They are real."
    assert [one["label"] for one in told["examples"]] == [*map(str, range(10)), "0", "1"]
    first = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["examples"][3]["picture"]))))
    assert np.array_equal(first, test.images[int(np.flatnonzero(test.labels == 3)[0]), ..., 0])
    assert len(client.get(EXAMPLES).json()["examples"]) == 24
    assert len(loads) == 1
    assert client.get(f"{EXAMPLES}?count=201").status_code == 422


def test_an_export_has_none(start: Start):
    """It says so."""
    told = start().client.get(EXAMPLES).json()
    assert told["examples"] == []
    assert told["note"] == "This model was exported without its test pictures."


def test_pictures_of_another_size_are_not_shown(start: Start, model_folder):
    """A run's data may have been changed since."""
    other = Examples(np.zeros((3, 9, 9, 1), np.uint8), np.zeros(3, np.int64))
    told = start(Deployment("digits", model_folder, None, lambda: other)).client.get(EXAMPLES).json()
    assert (told["examples"], told["note"]) == ([], "The test pictures are of another model.")


def test_examples_that_take_too_long(start: Start, model_folder):
    """They are not waited for, and are there later."""
    found = Examples(np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1, np.int64))

    def slow() -> Examples:
        time.sleep(1)
        return found

    client = start(Deployment("digits", model_folder, None, slow), work_seconds=0.3).client
    assert client.get(EXAMPLES).json()["reason"] == "work_seconds"
    time.sleep(1)
    assert len(client.get(EXAMPLES).json()["examples"]) == 1


def test_which_are_chosen():
    """Few of each; of more classes than pictures, classes from end to end; of none, none."""
    labels = np.array([2, 0, 0, 0, 2, 1], np.int64)
    assert choose_examples(labels, 4) == [1, 5, 0, 2]
    assert choose_examples(labels, 99) == [1, 5, 0, 2, 4, 3]
    assert choose_examples(np.arange(100), 3) == [0, 50, 99]
    assert choose_examples(np.zeros(0, np.int64), 5) == []
