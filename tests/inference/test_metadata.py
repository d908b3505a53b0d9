import json
import subprocess
import sys

import numpy as np
import pytest

from eyespot.inference.metadata import ModelMetadata
from eyespot.preprocessing.measure import measure_appearance

APPEARANCE = measure_appearance(np.zeros((3, 8, 8, 1), np.uint8))


def test_what_is_written_is_what_is_read():
    """Class names in any script, size, resizing and appearance survive; an earlier file without the last two opens."""
    metadata = ModelMetadata(("関", 'a "b"'), (8, 9, 1), "pad", APPEARANCE)
    assert ModelMetadata.parse(metadata.dump()) == metadata
    earlier = json.loads(metadata.dump())
    del earlier["resize"], earlier["appearance"]
    assert ModelMetadata.from_dict(earlier) == ModelMetadata(("関", 'a "b"'), (8, 9, 1))


def test_the_file_holds_what_it_always_held():
    """Keys and values are those that docs and other programs know, in this order."""
    assert ModelMetadata(("a", "b"), (8, 9, 3), "crop").dump() == (
        '{"class_names": ["a", "b"], "input": {"height": 8, "width": 9, "channels": 3, "dtype": "uint8", '
        '"range": [0, 255]}, "resize": "crop"}'
    )


def test_a_description_has_plain_values():
    """As the REST API and an exported page give it; nothing is measured of a model that does not say."""
    described = ModelMetadata(("a", "b"), (8, 9, 1), "pad", APPEARANCE).describe("mine")
    assert json.loads(json.dumps(described)) == {
        "name": "mine",
        "classes": ["a", "b"],
        "input": {"height": 8, "width": 9, "channels": 1},
        "resize": "pad",
        "appearance": APPEARANCE.to_dict(),
    }
    assert ModelMetadata(("a",), (8, 9, 1)).describe("x")["appearance"] is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"class_names": ["a"], "input": {"height": "x"}}'])
def test_damaged_metadata_raise_what_is_documented(text: str):
    """What is no JSON object with class names and a size is refused."""
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        ModelMetadata.parse(text)


def test_names_are_read_without_onnx():
    """A prediction imports the contract, and not the package `onnx`."""
    code = "import sys, eyespot.inference.metadata; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
