"""Settings of the verbs that contradict each other, have no effect, or are out of range."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eyespot
from eyespot.errors import RecipeError, UsageError
from tests.conftest import write_pictures


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: eyespot.train(accept_changes=True),
            "`accept_changes=True` has no effect without `resume`: name the run to resume, or leave it out.",
        ),
        (
            lambda: eyespot.train(resume="runs/a", output="runs/b"),
            "`output` has no effect with `resume`: what is resumed is written to runs/a. Leave it out.",
        ),
        (
            lambda: eyespot.train(trust=True),
            "`trust=True` has no effect, since no .keras file is opened: name one as `model.name` or `model.from`",
        ),
        (lambda: eyespot.find_lr(model="mlp", trust=True), "`trust=True` has no effect"),
        (lambda: eyespot.train(size=14), "`pictures.size` is for images of your own, and digits is not"),
        (lambda: eyespot.look("digits", color=False), "`pictures.color=False` is for images of your own"),
        (lambda: eyespot.load("digits", size=14), "`pictures.size` is for images of your own"),
        (lambda: eyespot.load((np.zeros((4, 8, 8)), [0, 1, 0, 1]), size=14), "and what is given as arrays is not"),
        (lambda: eyespot.predict("runs/a", "a.png", as_is=True, each=True), "`each=True` has no effect with `as_is="),
        (lambda: eyespot.predict("runs/a", "a.png", top=0), "`top` must be at least 1; received 0."),
        (lambda: eyespot.study("digits", grid={"model.dropout": [0]}, repeats=0), "`repeats` must be at least 1"),
        (lambda: eyespot.reproduce(repeats=0), "`repeats` must be at least 1; received 0."),
        (lambda: eyespot.tune(trials=0), "`trials` must be at least 1; received 0."),
        (lambda: eyespot.train(verbose=2), "`verbose` must be 0 (silent) or 1 (progress and lines); received 2."),
        (lambda: eyespot.serve("runs/a", token=""), "A server's token must be letters, digits and signs, at least one"),
        (
            lambda: eyespot.serve("runs/a", take_corrections=False, corrections="b"),
            "`corrections` has no effect with `take_corrections=False`: leave one of them out.",
        ),
        (
            lambda: eyespot.serve("runs/a", "192.0.2.1", allow_hosts=["me"]),
            "`allow_hosts` has no effect with `host='192.0.2.1'`, where a server answers to any name: leave it out.",
        ),
    ],
)
def test_a_verb_refuses_what_can_have_no_effect(here: Path, call: Callable[[], Any], sentence: str):
    """A verb names the setting before it does any work, in a program as on the command line."""
    with pytest.raises(UsageError) as caught:
        call()
    assert sentence in str(caught.value)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("verb", [eyespot.load, eyespot.look])
def test_an_unknown_option_comes_with_the_nearest(here: Path, verb: Callable[..., Any]):
    """What has to do with training is no option of looking."""
    with pytest.raises(RecipeError, match=r"There is no option named 'sise'\. Did you mean 'size'"):
        verb("digits", sise=14)
    with pytest.raises(RecipeError, match="There is no option named 'epochs'"):
        verb("digits", epochs=3)
    assert list(here.iterdir()) == []


def test_explain_takes_a_place_to_look_in_for_near_images_alone(run: eyespot.Run):
    """`on` names where near images are looked for; without that method it would be read for nothing."""
    with pytest.raises(UsageError, match="`on` has no effect without the method 'similar'"):
        eyespot.explain(run, "a.png", methods=["occlusion"], on="digits")


def test_own_images_are_read_as_the_options_say(here: Path):
    """`load`, `look` and `train` take the same options; what a folder has no use for is refused by all of them."""
    write_pictures(here / "mine")
    assert eyespot.load("mine", size=6, color=True, verbose=0).input_shape == (6, 6, 3)
    assert eyespot.look("mine", here / "seen", size=6, labels=False).summary["splits"]["train"]["shape"][1:] == [
        6,
        6,
        1,
    ]
    for verb in (eyespot.load, eyespot.look, eyespot.train):
        with pytest.raises(
            UsageError, match=r"`pictures\.image_column` has no effect on mine, which holds image files"
        ):
            verb("mine", image_column="x")
