"""The report says what was measured, in two languages, of whatever classes, and carries everything with it."""

import ast
import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from eyespot.data.dataset import Dataset
from eyespot.data.pixels import data_uri
from eyespot.explanation.maps import explain_images
from eyespot.reports import confusion as cells_module
from eyespot.reports.confusion import confusion_cells
from eyespot.reports.html import LANGUAGES, translator
from eyespot.reports.report import ExplainedMistakes, ReportFacts, map_picture, report_page
from eyespot.run import Run
from tests.reports.pages import facts_of, many_classes, renamed

REPORTING = Path(cells_module.__file__).parent
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    '"><svg/onload=alert(3)> & {{ 7 * 7 }}',
)


@pytest.fixture(scope="module")
def facts(run: Run, bars: Dataset) -> ReportFacts:
    return facts_of(run, bars)


def decoded(uri: str) -> np.ndarray:
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,"))))
    return np.asarray(picture.convert("L"))


def test_the_page_says_what_was_measured(facts: ReportFacts):
    """Accuracy with its interval, calibration, parameters, seed, verdict: as the run has them."""
    page = report_page(facts)
    figures = facts.evaluation
    low, high = figures["accuracy_interval"]
    for told in (
        f"{figures['accuracy']:.2%}",
        f"{low:.2%}",
        f"{high:.2%}",
        f"{figures['calibration']['nll']:.4f}",
        f"{figures['before_calibration']['brier']:.4f}",
        f"{facts.metrics['temperature']:.3f}",
        f"{facts.metrics['parameters']:,}",
        facts.verdict.sentence,
        facts.environment["dataset_sha256"],
    ):
        assert told in page


def test_results_come_before_details(facts: ReportFacts):
    """Model, data and next steps stand first; layers, recipe, files and environment last, and folded."""
    page = report_page(facts)
    subject = "mlp, trained on 120 images of bars for 8 epochs."
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Next steps", "Results", "Learning curves", "Confusion matrix", "Most confident mistakes",
        "Explanations of mistakes", "Classification report", "Calibration", "Training data", "Model card",
        "Layers", "Recipe", "Files", "Environment",
    ]  # fmt: skip
    assert 0 < page.index(subject) < page.index(facts.verdict.advice) < page.index("<h2>Results</h2>")
    assert re.findall(r"<details><summary><h2>(.*?)</h2>", page) == headings[-4:]
    assert "<details open" not in page


def test_test_images_that_served_as_validation_data_are_named(facts: ReportFacts):
    """Where choices were made on the test images, the page says so instead of the opposite."""
    apart, shared = (
        "No choice in the training was made on the test images.",
        "test images also served as validation data",
    )
    assert apart in report_page(facts)
    page = report_page(replace(facts, settings=facts.settings | {"split": {"method": "test"}}))
    assert shared in page
    assert apart not in page


def test_every_cell_counts_and_shows_its_own_pictures(facts: ReportFacts):
    """Cells add up to all pictures; each picture is of the cell's label, answered as the cell says, pixel by pixel."""
    split, probabilities = facts.split, facts.probabilities
    assert split is not None
    assert probabilities is not None
    cells = confusion_cells(np.array(facts.evaluation["confusion"]), facts.class_names, split, probabilities)
    assert sum(cell.n for cell in cells.values()) == len(split)
    predictions = probabilities.argmax(axis=1)
    for (label, predict), cell in cells.items():
        behind = {
            split.images[row].tobytes() for row in np.flatnonzero((split.labels == label) & (predictions == predict))
        }
        assert len(cell.pictures) == cell.n
        assert {decoded(uri)[..., None].tobytes() for uri, _ in cell.pictures} == behind


def test_few_pictures_are_shown_where_all_would_be_too_many(facts: ReportFacts, monkeypatch: pytest.MonkeyPatch):
    """The page holds as many a cell as its budget allows, the surest mistakes first, and one at least."""
    confusion = np.array(facts.evaluation["confusion"])
    given = (confusion, facts.class_names, facts.split, facts.probabilities)
    whole = confusion_cells(*given)
    monkeypatch.setattr(cells_module, "BUDGET", 3_000)
    few = confusion_cells(*given)
    assert 1 <= max(len(cell.pictures) for cell in few.values()) < max(len(cell.pictures) for cell in whole.values())
    assert all(cell.pictures == whole[place].pictures[: len(cell.pictures)] for place, cell in few.items())
    assert sum(len(uri) for cell in few.values() for uri, _ in cell.pictures) <= 3_000


def test_names_are_never_markup(facts: ReportFacts):
    """Class names, file names and notes that are markup are shown as text; the script's data cannot be left."""
    page = report_page(replace(renamed(facts, HOSTILE), notes=[HOSTILE[1]], name=HOSTILE[0]))
    assert page.count("<script") == page.count("</script>") == 3
    assert "<img src=x" not in page
    assert "<svg/onload" not in page
    assert "{{ 7 * 7 }}" in page  # shown, not computed
    data = json.loads(re.findall(r'id="cells">(.*?)</script>', page, re.DOTALL)[0])
    assert {cell["label"] for cell in data.values()} <= set(HOSTILE)


def test_the_page_needs_nothing_else(facts: ReportFacts):
    """No address leaves the file, and its policy allows its own script alone."""
    page = report_page(facts)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']*""", page)
    assert not re.findall(r"url\((?!#)[^)]*\)", page)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_a_thousand_classes_make_a_page(facts: ReportFacts):
    """Instead of a million cells, the most frequent mistakes are listed; the page stays under 5 MB."""
    page = report_page(many_classes(facts, 1_000))
    assert "With 1000 classes, the most frequent mistakes are listed." in page
    assert page.count("data-cell=") == 100
    assert len(page.encode()) < 5_000_000


def test_without_pictures_counts_are_left(facts: ReportFacts):
    """Where the images are not available, the page has every figure, and no cell to open."""
    page = report_page(replace(facts, data=None, probabilities=None, layers=None))
    assert f"{facts.evaluation['accuracy']:.2%}" in page
    assert "data-cell=" not in page
    assert "The images are not available." in page
    assert "Its layers are not shown." in page


def test_pictures_side_by_side_stay_apart():
    """Between two pictures of a strip one sees through; a single picture is kept bit for bit."""
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)
    assert (decoded(data_uri(images[0])) == images[0, ..., 0]).all()
    stored = base64.b64decode(data_uri(*images).partition(",")[2])
    strip = np.asarray(Image.open(io.BytesIO(stored)).convert("RGBA"))
    assert strip.shape == (28, 60, 4)
    assert (strip[:, 28:30, 3] == 0).all()
    assert (strip[:, 30:58, 0] == images[1, ..., 0]).all()
    large = np.zeros((1, 300, 200, 3), np.uint8)
    assert decoded(data_uri(large[0])).shape == (96, 64)


def test_a_map_is_red_for_the_class_and_blue_against_it():
    """Over a white picture: reddish, bluish, and grey where it says nothing."""
    white = np.full((9, 9, 1), 255, np.uint8)
    found = np.zeros((9, 9), np.float32)
    found[0], found[8] = 2, -2
    stored = base64.b64decode(map_picture(found, white).partition(",")[2])
    drawn = np.asarray(Image.open(io.BytesIO(stored)).convert("RGB")).astype(int)
    assert (drawn[0, :, 0] > drawn[0, :, 2] + 30).all()
    assert (drawn[8, :, 2] > drawn[8, :, 0] + 30).all()
    assert np.ptp(drawn[4], axis=1).max() < 5


def test_mistakes_are_explained(facts: ReportFacts, run: Run):
    """Each with its maps, of the class that it was taken for; a method that is left out is told."""
    split = facts.split
    assert split is not None
    wrong = (split.labels[:2] + 1) % 3
    found = explain_images(run.model(), split.images[:2], wrong)
    page = report_page(replace(facts, explained=ExplainedMistakes(np.arange(2), found.pictures, found.notes)))
    assert page.count("input of the model") == 2
    assert (
        page.count("<figcaption>Occlusion</figcaption>")
        == page.count("<figcaption>Integrated gradients</figcaption>")
        == 2
    )
    for label, taken in zip(split.labels[:2].tolist(), wrong.tolist(), strict=True):
        assert f"{facts.class_names[label]} → {facts.class_names[taken]}" in page
    assert "Grad-CAM is left out" in page  # the network has no convolution


def sentences() -> set[str]:
    """Every text that a template or a module hands to the translation."""
    found: set[str] = set()
    for template in (REPORTING / "templates").glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        found |= set(re.findall(r'\b_\("((?:[^"\\]|\\.)*)"', text))
    for module in REPORTING.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "words":
                found |= {
                    arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                }
    return found


def test_every_sentence_is_translated():
    """No text on a page is left in English by mistake."""
    known = yaml.safe_load((REPORTING / "templates" / "words.zh.yaml").read_text(encoding="utf-8"))
    missing = sentences() - {"F1"} - set(known)
    assert not missing


def test_the_page_speaks_chinese(facts: ReportFacts):
    """Headings, figures and the model card; the verdict and its advice in Chinese sentences."""
    assert set(LANGUAGES) == {"en", "zh"}
    page = report_page(facts, "zh")
    assert '<html lang="zh">' in page
    for told in ("混淆矩阵", "校准", "模型卡", "可靠性", "每轮的损失"):
        assert told in page
    assert translator("zh")(facts.verdict.sentence) in page
    assert facts.verdict.sentence not in page
    assert facts.verdict.advice not in page
    assert "Confusion matrix" not in page
    assert translator("zh")("a text nobody translated") == "a text nobody translated"


def test_notes_and_methods_are_in_chinese(facts: ReportFacts, run: Run):
    """Also those that name a dataset, a method or a model; each colon and each percentage is as the language has it."""
    split, chinese = facts.split, translator("zh")
    assert split is not None
    found = explain_images(run.model(), split.images[:1], split.labels[:1])
    notes = ["bars has changed since the run was trained: these are not the same images.", *found.notes]
    explained = ExplainedMistakes(np.arange(1), found.pictures, found.notes)
    page = report_page(replace(facts, notes=notes[:1], explained=explained), "zh")
    assert len(notes) > 1
    for text in (*notes, "Occlusion", "Integrated gradients"):
        assert text not in page
        assert chinese(text) in page
    assert not misplaced(page)


def misplaced(page: str) -> list[str]:
    """What English punctuation has left in a page in Chinese: colons beside its words, and spaces before `%`."""
    return re.findall(r"[一-鿿]: |: [一-鿿]|\d[ \u00a0]%", page)
