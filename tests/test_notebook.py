"""What a notebook shows of results: figures and sentences, whatever classes and files are called, and short texts."""

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.inference.predictor import PredictionList
from eyespot.notebook import MOST_ROWS, card, figures, listed, paragraph, table
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.training.history import History
from tests.reports.test_report import HOSTILE

OLD_RUNS = Path(__file__).parent / "runs_of_0_1"
LARGEST = 130_000  # bytes
LONGEST = 500  # letters of a result's text
DRAWN = {"svg", "g", "path", "use", "defs", "clippath", "rect", "text", "tspan", "style", "line"}
TAGS = DRAWN | {
    "div", "p", "b", "small", "br", "bdi", "table", "thead", "tbody", "tr", "th", "td", "img", "figure", "details",
    "summary", "a",
}  # fmt: skip


class Tags(HTMLParser):
    """Every element of some HTML, with its attributes, and all of its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def harmless(html: str) -> Tags:
    """The HTML, which asks nothing of any network and runs nothing."""
    found = Tags(html)
    assert {tag for tag, _ in found.elements} <= TAGS
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "srcdoc"]
        assert (attributes.get("src") or "data:").startswith("data:")
        if tag == "a":
            assert ":" not in (attributes["href"] or "")  # a file of this machine
        else:
            assert (attributes.get("href") or attributes.get("xlink:href") or "#").startswith("#")
    assert "http:" not in html.replace("http://www.w3.org/", "")
    assert len(html.encode()) < LARGEST
    return found


@pytest.fixture(scope="module")
def hostile(bars: Dataset) -> Dataset:
    """The bars with class names that are HTML."""
    return replace(bars, class_names=HOSTILE)


@pytest.fixture(scope="module")
def training(hostile: Dataset, tmp_path_factory: pytest.TempPathFactory) -> eyespot.Training:
    """A training on them."""
    recipe = Recipe.parse({"model": {"name": "mlp"}, "training": {"epochs": 4, "seed": 3, "precision": "float32"}})
    return eyespot.train(hostile, recipe, tmp_path_factory.mktemp("notebook") / "<b>run<b>", verbose=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


Make = Callable[[eyespot.Training, Dataset, Path], Any]
RESULTS: dict[str, tuple[Make, str]] = {
    "training": (lambda t, _, __: t, "validation loss"),
    "verdict": (lambda t, _, __: t.verdict, "validation loss at"),
    "history": (lambda t, _, __: t.outcome.history, "4 epochs"),
    "evaluation of a split": (lambda t, _, __: t.test, "accuracy on 30 images, 95 % interval"),
    "run": (lambda t, _, __: eyespot.open_run(t.run.path), "validation loss"),
    "evaluation": (lambda t, _, __: eyespot.evaluate(t.run), "expected calibration error"),
    "evaluation on another source": (
        lambda t, bars, __: eyespot.evaluate(t.run, replace(bars, name="others")),
        "others (test)",
    ),
    "dataset": (lambda _, bars, __: bars, "120 train, 30 test images of 8x8x1, 3 classes"),
    "predictions": (lambda t, bars, __: t.run.predict(np.asarray(bars.train.images[:3])), "3 predictions"),
    "prediction": (lambda t, bars, __: t.run.predict(np.asarray(bars.train.images[:3]))[0], "probability"),
    "look": (lambda _, bars, folder: eyespot.look(bars, folder / "look", labels=True), "120"),
    "comparison": (
        lambda t, bars, folder: eyespot.compare(
            [t.run, eyespot.train(bars, t.run.recipe, folder / "other", verbose=0, epochs=2).run],
            folder / "compare.html",
        ),
        "exact McNemar test",
    ),
    "explanations": (
        lambda t, bars, folder: eyespot.explain(t.run, bars.train.images[0], output=folder, methods=["gradcam"]),
        "explained class",
    ),
    "report": (lambda t, _, folder: eyespot.report(t.run, folder / "page: 1.html"), "page: 1.html"),
    "doctor": (lambda t, _, __: eyespot.doctor(t.run), "Optimizer: adam"),
    "export": (lambda t, bars, folder: eyespot.export(t.run, "onnx", folder / "onnx", on=bars), "same prediction"),
    "learning rate": (
        lambda t, bars, folder: eyespot.find_lr(
            replace(bars, name="bars2"), t.run.recipe, folder / "lr", steps=60, verbose=0
        ),
        "learning rate",
    ),
    "study": (
        lambda t, bars, folder: eyespot.study(
            bars,
            changes={"<i>one</i>": {"training.learning_rate": 0.01}},
            repeats=1,
            output=folder / "study",
            settings={"training.epochs": 1, "model.name": "mlp"},
            verbose=0,
        ),
        "2 variants, 1 repeat",
    ),
}


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.draws
def test_a_notebook_shows_a_result(name: str, training: eyespot.Training, hostile: Dataset, folder: Path):
    """Each result says in HTML what it found; class names that are HTML stay text, and nothing is fetched or run."""
    make, words = RESULTS[name]
    result = make(training, hostile, folder)
    shown = harmless(result._repr_html_())
    assert words in shown.text
    if name not in {"predictions", "prediction", "verdict"}:
        assert len(repr(result)) < LONGEST
    assert "array(" not in repr(result)


@pytest.mark.draws
def test_hostile_names_are_text(training: eyespot.Training, hostile: Dataset):
    """Class names and a run's name are shown letter by letter."""
    assert all(name in harmless(hostile._repr_html_()).text for name in HOSTILE)
    shown = harmless(eyespot.evaluate(training.run)._repr_html_())
    assert "<b>run<b>" in shown.text
    assert HOSTILE[0][:10] in shown.text


def test_a_search_is_shown(few_digits: None, here: Path):
    """A search says whether it found something better, and what to train."""
    pytest.importorskip("optuna")
    tuning = eyespot.tune("digits", trials=2, settings={"training.epochs": 1, "model.name": "mlp"}, verbose=0)
    shown = harmless(tuning._repr_html_())
    assert tuning.sentence in shown.text
    assert "best.yaml" in shown.text
    assert repr(tuning) == f"<Tuning {tuning.path}: {tuning.sentence}>"


def test_figures_carry_their_intervals(run: Run):
    """The accuracy of a run stands with its interval and the number of images."""
    test = run.metrics["test"]
    low, high = test["accuracy_interval"]
    shown = harmless(run._repr_html_()).text
    assert f"{100 * test['accuracy']:.2f} %" in shown
    assert f"test accuracy, 95 % interval {100 * low:.1f} – {100 * high:.1f} %, 30 images" in shown  # noqa: RUF001
    assert run.metrics["verdict"]["sentence"] in shown


@pytest.mark.parametrize("name", ["finished", "interrupted", "convolution"])
def test_runs_of_0_1_are_shown(name: str):
    """A run of an earlier version shows what it has."""
    assert "validation accuracy" in harmless(Run(OLD_RUNS / name)._repr_html_()).text


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path):
    """Without figures, a run says how far it is, and how to continue."""
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5\n", encoding="utf-8")
    shown = harmless(Run(tmp_path)._repr_html_()).text
    assert f"not finished: 1 epoch is done. Continue it with train(resume={str(tmp_path)!r})" in shown


@pytest.mark.parametrize("metrics", ["{", "[]", '{"verdict": 3}', '{"verdict": {"fit": "x"}}', '{"verdict": {}}'])
def test_a_damaged_run_is_no_traceback(metrics: str, tmp_path: Path):
    """Whatever stands in its files, showing a run raises nothing."""
    (tmp_path / "metrics.json").write_text(metrics, encoding="utf-8")
    assert "missing or damaged" in harmless(Run(tmp_path)._repr_html_()).text


def test_predictions_are_a_list_with_pictures(run: Run, tmp_path: Path):
    """They are a list as before; a notebook shows the pictures that can be opened, and how many rows there are more."""
    image = Image.fromarray(np.full((8, 8), 200, np.uint8))
    for row in range(MOST_ROWS + 5):
        image.save(tmp_path / f"{row:02}.png")
    predictions = run.predict(tmp_path)
    assert isinstance(predictions, list)
    assert predictions == list(predictions)
    assert predictions[:2] == [predictions[0], predictions[1]]
    (tmp_path / "00.png").unlink()
    shown = harmless(predictions._repr_html_())  # type: ignore[attr-defined]
    assert sum(tag == "img" for tag, _ in shown.elements) == MOST_ROWS - 1
    assert "… and 5 more." in shown.text
    assert harmless(PredictionList()._repr_html_()).text.strip().endswith("0 predictions")


def test_parts_escape_what_they_are_given():
    """Text is text in every part; a name written from the right turns no figure round."""
    evil = "<script>alert(1)</script>"
    parts = [paragraph(evil), figures([(evil, evil)]), table([evil], [[evil], [listed([(evil, evil)])]])]
    html = card(evil, evil, parts)
    assert "<script" not in html
    assert harmless(html).text.count(evil) == 9
    assert "<bdi>\u202eevil</bdi>&nbsp;3 %" in listed([("\u202eevil", "3 %")])


def test_long_tables_and_names_are_cut():
    """A table has 20 rows and says how many there are more; a long name ends in an ellipsis; nothing is empty."""
    part = table(["row"], [[row] for row in range(1_000)])
    assert part is not None
    assert part.count("<tr>") == MOST_ROWS + 1
    assert "… and 980 more." in part
    assert "x" * 79 + "…" in card("x" * 10_000, "", [])
    assert [table(["row"], []), paragraph(""), figures([])] == [None, None, None]


def test_texts_of_results_are_short():
    """Arrays and long lists stay out of the text of a result."""
    assert repr(History()) == "<History of 0 epochs>"
    row = {"epoch": 1.0, "loss": 0.5, "accuracy": 0.25, "seconds": 1.0}
    assert repr(History([row])) == "<History of 1 epochs, at the end loss 0.5000, accuracy 0.2500>"


def test_a_verdict_can_be_printed(run: Run):
    """Printed, a verdict is its sentences; the headline too, where another epoch is kept than the one judged."""
    verdict = eyespot.Verdict.from_dict(run.metrics["verdict"])
    assert str(verdict) == f"{verdict.sentence} {verdict.advice}"
    earlier = replace(verdict, fit="overfitting", kept_epoch=2, from_epoch=4)
    assert str(earlier) == f"{earlier.headline} {verdict.sentence} {verdict.advice}"
