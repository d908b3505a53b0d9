"""Pages in another language: what a run says of itself, filled in already, is said in full in that language."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eyespot.explanation.gradcam import gradcam
from eyespot.explanation.maps import TITLES, explain_images
from eyespot.explanation.network import Network
from eyespot.recipe.changes import describe_differences
from eyespot.reports import html
from eyespot.reports.html import translator
from eyespot.training import diagnose as diagnosis
from eyespot.training.diagnose import diagnose
from eyespot.training.history import History
from eyespot.training.verdict import Verdict
from eyespot.workflow.run_data import unsplit_pictures_of
from tests.training.test_diagnose import FALLING, LEVEL, MEMORISED, PUBLISHED, RISING, history, judged

CHINESE = translator("zh")
# What stays in Latin letters: a p-value, a network's part, a command, a setting and its value.
LATIN = re.compile(r"\bp (?=[<=])|dropout|eyespot study|method|split|'fraction'")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SHORT = 3  # words: what is shorter is a part of every second sentence


def curves(val_loss: list[float], loss: list[float] | None = None, images: int | None = None) -> Verdict:
    return diagnose(history(loss=loss or val_loss, val_loss=val_loss), classes=10, validation_images=images)


def verdicts() -> Iterator[Verdict]:
    """Verdicts of every kind, with every sentence and every piece of advice that there is."""
    yield diagnose(History(), classes=10)
    yield diagnose(History(), classes=10, diverged=True)
    yield diagnose(history(loss=[1.0, 0.5]), classes=10)
    yield diagnose(history(loss=[0.7]), classes=10)
    yield curves([2.2, 1.0, 9.0])
    yield curves([0.4], [0.5])
    yield curves([2.0, 1.5, 1.1, 0.8])
    yield curves([1.9] * 8)
    yield curves([1.53, 0.45, 0.24], images=144)
    yield curves([0.5, 0.31, 0.36, 0.33], [0.5] * 4, images=6000)
    yield curves([0.15, 0.18, 0.23], [0.12, 0.09, 0.06], images=5000)
    yield curves([0.3 + 0.2 * (epoch % 2) for epoch in range(12)], [0.3] * 12, images=60_000)
    rising = [0.5, 0.3, 0.31, 0.36, 0.41, 0.47, 0.54, 0.6]
    yield curves([loss + 0.05 for loss in rising], rising)
    yield diagnose(history(**MEMORISED), classes=10)
    for columns in PUBLISHED.values():
        for epochs in range(1, len(columns["loss"]) + 1):
            yield diagnose(history(**{name: values[:epochs] for name, values in columns.items()}), classes=10)
    for means in (FALLING, LEVEL, RISING, np.full(12, 0.2), np.full(12, 0.57)):
        for images in (6, 15, 40, 200, 4_000, 20_000):
            for train in (0.0, 0.02, 0.1, 0.19, 0.57, 2.0):
                yield judged(means, images, train=train)


@pytest.fixture(scope="module")
def texts() -> set[str]:
    """The sentences and the advice of all these verdicts."""
    return {text for verdict in verdicts() for text in (verdict.sentence, verdict.advice)}


def untranslated(text: str) -> str:
    """Latin letters of a text in Chinese that have no business there."""
    return " ".join(re.findall(r"[A-Za-z]+", LATIN.sub("", text)))


def test_verdicts_are_said_in_full(texts: set[str]):
    """No sentence of a verdict and no advice keeps an English word or loses a number."""
    for english in texts:
        chinese = CHINESE(english)
        assert not untranslated(chinese), chinese
        assert sorted(NUMBER.findall(chinese)) == sorted(NUMBER.findall(english)), chinese
        assert ". " not in chinese


def test_every_sentence_of_the_verdict_is_among_them(texts: set[str]):
    """Each string of `diagnose` that is part of a sentence stands in one of the verdicts above."""
    tree = ast.parse(Path(diagnosis.__file__).read_text(encoding="utf-8"))
    in_functions = [
        node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    ]
    docstrings = {id(node.value) for node in in_functions if isinstance(node, ast.Expr)}
    strings = {
        node.value
        for node in in_functions
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    }
    parts = {part for string in strings for part in re.split(r"\{[^}]*\}", string) if len(part.split()) >= SHORT}
    assert len(parts) > 40
    assert {part for part in parts if not any(part in text for text in texts)} == set()


EARLIER = """\
Underfitting, the network does not fit its training pictures (guessing gives a loss of 2.30).
Not enough validation pictures to tell overfitting from a good fit.
From epochs 16-19 to epoch 20 validation loss changed by +0.0169 (standard error 0.0137, 144 pictures).
Not judged, validation loss jumps too much from epoch to epoch. Training loss ended at 0.3 and validation loss at 0.4.
Not judged, it is too close to call. The loss ended at 0.5800, where 0.5756 would matter.
Not judged, 3 epochs are too few to tell how much training jumps.
Stop at epoch 7 (early stopping does), or add dropout, augmentation or more pictures.
Add pictures, augmentation or dropout: the network knows its training pictures by heart.
About 2,000 validation pictures would tell."""


@pytest.mark.parametrize("english", EARLIER.splitlines())
def test_what_an_earlier_version_wrote_is_said_in_full(english: str):
    """Runs of eyespot 0.2 and before hold verdicts in other words, which are as known."""
    chinese = CHINESE(english)
    assert not untranslated(chinese), chinese
    assert sorted(NUMBER.findall(chinese)) == sorted(NUMBER.findall(english))


def test_what_is_put_into_a_sentence_stays():
    """Names are shown as they are, also those that are words of the page or look like two sentences."""
    note = "{} has changed since the run was trained: these are not the same images."
    for name in ("train", "St. Louis", "my {photos}", "a and b"):
        assert CHINESE(note.format(name)).startswith(f"数据集 {name} 在训练之后有改动")
    assert CHINESE("Nobody translated this. Nor that.") == "Nobody translated this. Nor that."
    assert translator("en")(note.format("x")) == note.format("x")


@pytest.mark.parametrize("method", TITLES.values())
def test_why_a_method_is_left_out_is_said(method: str):
    """The method, the model and the reason; the CAMs keep the names that their papers gave them."""
    chinese = CHINESE(f"{method} is left out: my_net has no convolution that leaves more than one pixel.")
    assert "my_net" in chinese
    assert set(untranslated(chinese).split()) <= {"my", "net", "Grad", "CAM", "HiResCAM"}


@pytest.mark.parametrize(
    "writer", [unsplit_pictures_of, explain_images, gradcam, Network.gradient], ids=lambda writer: writer.__name__
)
def test_notes_that_reach_a_page_are_translated(writer: Callable[..., Any]):
    """Each sentence with a name in it, by a function whose notes or errors pages show, is known as it is written."""
    module = sys.modules[writer.__module__]
    source = inspect.getsource(module if writer is gradcam else writer)
    notes = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        for node in ast.walk(ast.parse(textwrap.dedent(source)))
        if isinstance(node, ast.JoinedStr)
    ]
    assert notes
    for note in notes:
        assert set(untranslated(CHINESE(note)).split()) == {"x"}


@pytest.mark.parametrize("kind", ["words", "sentences"])
def test_translations_take_the_same_values(kind: str):
    """What a text names is in its translation too, once; a filled-in text with one name twice would not be found."""
    folder = Path(html.__file__).parent / "templates"
    for english, chinese in yaml.safe_load((folder / f"{kind}.zh.yaml").read_text(encoding="utf-8")).items():
        names = re.findall(r"\{(\w+)\}", english)
        assert set(names) == set(re.findall(r"\{(\w+)\}", chinese)), english
        if kind == "sentences":
            assert len(names) == len(set(names)), english


def test_differences_of_layers_are_said():
    """What was removed, added or replaced; a setting that has another value is as it is written in a recipe."""
    dense, dropout = {"layer": "Dense", "units": 10}, {"layer": "Dropout", "rate": 0.5}

    def difference(old: object, new: object) -> str:
        (text,) = describe_differences({"model.layers": old}, {"model.layers": new})
        return CHINESE(text)

    assert difference([dense, dropout], [dense]) == "model.layers: 去掉 Dropout(rate=0.5)"
    assert difference([dense], [dense, dropout]) == "model.layers: 在 Dense(units=10) 之后加入 Dropout(rate=0.5)"
    assert difference([dense], [dropout, dense]) == "model.layers: 加入 Dropout(rate=0.5)"
    assert difference([dense], [dropout]) == "model.layers: 用 Dropout(rate=0.5) 代替 Dense(units=10)"
    assert difference(5, 6) == "model.layers: 5 → 6"
