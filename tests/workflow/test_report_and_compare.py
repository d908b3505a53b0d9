"""Reports and comparisons of runs as the commands make them."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax
from scipy.stats import binomtest

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.errors import RunError, UsageError
from eyespot.evaluation.calibration import fit_temperature
from eyespot.recipe.schema import Recipe
from eyespot.reports.html import translator
from eyespot.run import Run
from eyespot.training.verdict import Verdict
from eyespot.workflow.run_data import pictures_of
from tests.conftest import Answer, digits_are
from tests.reports.pages import needs_browser, opened
from tests.reports.test_report import misplaced


@pytest.fixture(scope="module")
def pair(fewer: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Run]]:
    """Two small networks on a few digits, one trained for longer; the digits stay at hand."""
    folder = tmp_path_factory.mktemp("pair")
    options: dict[str, Any] = {"model": "mlp", "precision": "float32", "verbose": 0}
    with digits_are(fewer):
        short = eyespot.train("digits", output=folder / "short", epochs=1, **options)
        long = eyespot.train("digits", output=folder / "long", epochs=8, **options)
        yield short.run, long.run


def test_a_run_is_calibrated_on_its_validation_data(pair: tuple[Run, Run]):
    """The temperature is the one fitted on validation logits; the model's probabilities are at it, in every command."""
    run = pair[0]
    dataset, _ = pictures_of(run)
    assert dataset.validation is not None
    logits, probabilities = run.predictor().logits_and_probabilities(dataset.validation.images)
    found = fit_temperature(logits, dataset.validation.labels)
    assert run.metrics["temperature"] == pytest.approx(found, rel=1e-6)
    assert found != 1
    assert probabilities == pytest.approx(softmax(logits / found, axis=1), abs=1e-6)
    model = onnx.load(run.file("model.onnx"))
    (stored,) = (tensor for tensor in model.graph.initializer if tensor.name == "temperature")
    assert onnx.numpy_helper.to_array(stored) == pytest.approx(found)
    figures = run.metrics["validation"]
    assert figures["calibration"]["nll"] <= figures["before_calibration"]["nll"]
    assert figures["loss"] == pytest.approx(figures["before_calibration"]["nll"], abs=1e-5)  # Keras's, before it


def test_nothing_is_calibrated_on_test_data(bars: Dataset, tmp_path: Path):
    """Where the test data serve as validation data, or there are none, probabilities stay the network's own."""
    for method in ("test", "none"):
        settings = {"model.name": "mlp", "split.method": method, "training.epochs": 1, "training.early_stopping": False}
        done = eyespot.train(bars, Recipe(), tmp_path / method, settings=settings, verbose=0)
        assert done.run.metrics["temperature"] == 1
        figures = done.run.metrics["test"]
        for name in ("ece", "brier", "nll"):
            assert figures["calibration"][name] == pytest.approx(figures["before_calibration"][name], rel=1e-6)


def test_report_writes_a_page_and_a_card(pair: tuple[Run, Run], eyespot: Callable[..., Answer], tmp_path: Path):
    """With images behind the cells, since the digits are at hand; the card is Markdown with the same figures."""
    answer = eyespot("report", pair[1].path, "--json", "--output", tmp_path / "out" / "report.html")
    assert answer.code == 0
    told = json.loads(answer.out)
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert told["bytes"] == len(page.encode()) < 5_000_000
    assert page.count("data-cell=") >= 10
    accuracy = pair[1].metrics["test"]["accuracy"]
    assert f"{accuracy:.2%}" in Path(told["model_card"]).read_text(encoding="utf-8")
    chinese = eyespot("report", pair[1].path, "--lang", "zh", "--output", tmp_path / "zh.html")
    assert chinese.code == 0
    assert "混淆矩阵" in (tmp_path / "zh.html").read_text(encoding="utf-8")


def test_a_run_on_arrays_is_reported_with_images(run: Run, tmp_path: Path):
    """The arrays are gone with the process that held them; the images that pages show are in the run."""
    done = eyespot.report(run, tmp_path / "report.html")
    assert done.notes == []
    assert "data-cell=" in done.page.read_text(encoding="utf-8")


def test_what_an_earlier_eyespot_measured_is_measured_anew(pair: tuple[Run, Run], tmp_path: Path):
    """Figures without calibration are made again where the images are there."""
    old = Run(shutil.copytree(pair[0].path, tmp_path / "old"))
    metrics = old.metrics
    for name in ("calibration", "before_calibration", "macro_f1_interval"):
        del metrics["test"][name]
    old.write_json("metrics.json", metrics)
    eyespot.report(old)
    assert old.metrics["test"] == pair[0].metrics["test"]


def test_what_cannot_be_reported_is_told(run: Run, tmp_path: Path):
    """No run, no such language, no figures: a sentence."""
    with pytest.raises(RunError, match="There is no run at"):
        eyespot.report(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="There are no pages in 'fr': choose one of en, zh"):
        eyespot.report(run, language="fr")
    bare = Run(shutil.copytree(run.path, tmp_path / "bare"))
    bare.write_json(
        "metrics.json", {name: value for name, value in run.metrics.items() if name not in ("test", "validation")}
    )
    with pytest.raises(RunError, match="has no figures on test or validation data: there is nothing to report"):
        eyespot.report(bare)


def test_compare_says_what_the_test_says(pair: tuple[Run, Run], eyespot: Callable[..., Answer], tmp_path: Path):
    """The p-value is that of the counts in the two files of predictions; the better one is named, with its recipe."""
    short, long = pair
    right = []
    for run in pair:
        table = pq.read_table(run.file("predictions.parquet")).to_pydict()
        rows = [i for i, split in enumerate(table["split"]) if split == "test"]
        right.append(np.array([table["label"][i] == table["predict"][i] for i in rows]))
    only_short, only_long = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    answer = eyespot("compare", short.path, long.path, "--json", "--output", tmp_path / "c.html")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    (found,) = told["pairs"]
    assert (found["only_first"], found["only_second"]) == (only_short, only_long)
    expected = binomtest(only_short, only_short + only_long).pvalue
    assert found["p_value"] == found["p_adjusted"] == pytest.approx(expected)
    assert found["significant"]
    assert found["sentence"].startswith("long is better than short:")
    assert found["recipe"] == ["training.epochs: 1 → 8"]
    assert [run["accuracy"] for run in told["runs"]] == [each.mean() for each in right]
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert f"Only long is right: {only_long:,} images" in page
    table = eyespot("compare", short.path, long.path, "--output", tmp_path / "c.html").out
    assert "on 60 test images" in table


@needs_browser
@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe is not installed")
def test_everybody_can_read_a_comparison_in_browser(pair: tuple[Run, Run], tmp_path: Path):
    """No console message, no request, nothing wider than the window, no violation that axe finds; it shows images.

    In a narrow window and a wide one, light and dark.
    """
    from axe_playwright_python.sync_playwright import Axe

    eyespot.compare(pair, tmp_path / "c.html")
    with opened(tmp_path / "c.html") as (page, complaints):
        for width, scheme in ((360, "light"), (1200, "dark")):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            page.reload()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.query_selector_all(".gallery img")
            assert Axe().run(page).response["violations"] == []
        assert complaints == []


def test_three_runs_are_three_pairs(pair: tuple[Run, Run], tmp_path: Path):
    """Each two are compared, with p-values adjusted for three; runs of one name go by their paths.

    The page is in Chinese, with its punctuation.
    """
    again = Run(shutil.copytree(pair[1].path, tmp_path / "long"))
    found = eyespot.compare([*pair, again], tmp_path / "c.html", "zh")
    assert len(found.pairs) == 3
    assert [each.name for each in found.runs] == [str(run.path) for run in (*pair, again)]
    assert not misplaced((tmp_path / "c.html").read_text(encoding="utf-8"))
    same = found.pairs[2]
    assert (same.test.only_first, same.test.only_second, same.p_adjusted) == (0, 0, 1)
    assert same.sentence().startswith("No significant difference between")
    assert found.pairs[0].p_adjusted == pytest.approx(3 * found.pairs[0].test.p_value)


def test_names_of_runs_are_not_translated(pair: tuple[Run, Run], tmp_path: Path):
    """A run whose name is a word of the page goes by its name in the curves' legends too."""
    named = [Run(shutil.copytree(run.path, tmp_path / name)) for run, name in zip(pair, ("test", "train"), strict=True)]
    page = eyespot.compare(named, tmp_path / "c.html", "zh").page.read_text(encoding="utf-8")
    chinese = translator("zh")
    for run in named:
        verdict = Verdict.from_dict(run.metrics["verdict"]).of_kept_model
        assert f">{run.name}{chinese(': ')}{chinese(verdict)}<" in page


def test_what_cannot_be_compared_is_told(pair: tuple[Run, Run], run: Run, tmp_path: Path):
    """One run, one twice, other classes, other images, damaged predictions: a sentence."""
    short, long = pair
    for runs in ([short], [short, short]):
        with pytest.raises(UsageError, match="Two runs or more are compared, each of them once"):
            eyespot.compare(runs)
    with pytest.raises(RunError, match="knows other classes than"):
        eyespot.compare([short, run])
    other = Run(shutil.copytree(long.path, tmp_path / "other"))
    other.write_json("environment.json", other.environment | {"dataset_sha256": "another"})
    with pytest.raises(RunError, match="was measured on other images than"):
        eyespot.compare([short, other])
    damaged = Run(shutil.copytree(long.path, tmp_path / "damaged"))
    damaged.file("predictions.parquet").write_bytes(b"no table")
    with pytest.raises(RunError, match=r"predictions\.parquet is damaged .+ eyespot evaluate"):
        eyespot.compare([short, damaged])


PLACES = ("report.html", "model-card.md", "model.keras", "recipe.yaml")


@pytest.fixture(scope="module")
def reported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a report, written twice: eyespot's own pages are written again. Tests change a copy."""
    own = Run(shutil.copytree(run.path, tmp_path_factory.mktemp("reported") / "run"))
    eyespot.report(own)
    eyespot.report(own, language="zh")
    return own


@pytest.mark.parametrize("name", PLACES)
def test_a_report_is_written_over_no_other_file(name: str, reported: Run, tmp_path: Path):
    """A page or a card that a person wrote or changed, a run's model: one sentence, and it is as it was."""
    own = Run(shutil.copytree(reported.path, tmp_path / "run"))
    if name in {"report.html", "model-card.md"}:
        (own.path / name).write_text("changed", encoding="utf-8")
    before = (own.path / name).read_bytes()
    output = None if name == "model-card.md" else own.path / name
    with pytest.raises(RunError, match=f"{name} is not by eyespot, or has been changed.*choose another `output`"):
        eyespot.report(own, output)
    assert (own.path / name).read_bytes() == before


def test_a_report_elsewhere_leaves_the_card_that_is_there(run: Run, tmp_path: Path):
    """The card that goes beside the page does not replace one of another model."""
    (tmp_path / "model-card.md").write_text("mine")
    with pytest.raises(RunError, match=r"model-card\.md is not by eyespot"):
        eyespot.report(run, tmp_path / "report.html")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model-card.md", "mine")]


def test_the_card_of_an_earlier_eyespot_is_written_again(run: Run, tmp_path: Path):
    """Without a record, one that says what model.onnx says is eyespot's own: nothing is lost with it."""
    own = Run(shutil.copytree(run.path, tmp_path / "run"))
    (own.path / ".eyespot.json").unlink(missing_ok=True)
    eyespot.report(own, language="zh")
    assert "模型" in (own.path / "model-card.md").read_text(encoding="utf-8")


def test_a_comparison_is_written_over_no_other_file(pair: tuple[Run, Run], tmp_path: Path):
    """Its own page is written again; a person's stays."""
    for _ in range(2):
        eyespot.compare(pair, tmp_path / "compare.html")
    (tmp_path / "compare.html").write_text("changed")
    with pytest.raises(RunError, match=r"compare\.html is not by eyespot, or has been changed"):
        eyespot.compare(pair, tmp_path / "compare.html")
    assert (tmp_path / "compare.html").read_text() == "changed"


def test_a_card_does_not_say_where_pictures_lie(run: Run):
    """Where they are gone, their folder's name alone is in it; so is a model's file."""
    from eyespot.workflow.card import card_facts, card_text

    facts = card_facts(run, None, run.predictor().class_names)
    model = facts.settings["model"] | {"name": "/home/ann/net.py:build"}
    card = card_text(replace(facts, settings=facts.settings | {"dataset": "/home/ann/cats", "model": model}))
    assert "cats" in card
    assert "net.py:build" in card
    assert "ann" not in card
