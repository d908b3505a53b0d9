"""A run keeps the images that its pages show: pages need no dataset, and nobody else gets the images."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.data.load import load
from eyespot.errors import DataError
from eyespot.files import sha256_of
from eyespot.reports.report import report_page
from eyespot.reports.shown_data import MISTAKES, shown_data
from eyespot.run import Run
from eyespot.workflow import kept_images as module
from eyespot.workflow.compare import _images
from eyespot.workflow.kept_images import keep_images, kept_images
from eyespot.workflow.report import gather_results, report_facts
from eyespot.workflow.run_data import StoredPredictions, pictures_of, read_predictions, write_predictions
from tests.conftest import digits_are, write_pictures

OPTIONS: dict[str, Any] = {"model": "mlp", "precision": "float32", "epochs": 1, "verbose": 0}

SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def learnt(fewer: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A small network with many mistakes on a few digits, which stay at hand. Tests change a copy."""
    with digits_are(fewer):
        yield eyespot.train("digits", output=tmp_path_factory.mktemp("learnt") / "r", **OPTIONS).run


@pytest.fixture
def own(learnt: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(learnt.path, tmp_path / "r"))


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on a person's own pictures, which are no longer there."""
    folder = tmp_path_factory.mktemp("moved")
    write_pictures(folder / "bars")
    run = eyespot.train(str(folder / "bars"), output=folder / "r", **OPTIONS).run
    (folder / "bars").rename(folder / "elsewhere")
    return run


def names_of(run: Run) -> tuple[str, ...]:
    return run.predictor().class_names


def test_the_page_is_that_of_the_dataset(learnt: Run):
    """With kept images, a report is what it is with the dataset at hand, letter by letter."""
    dataset, _ = pictures_of(learnt)
    kept = report_facts(learnt, SILENT)
    assert kept.data is not None
    assert kept.data.judged is not None
    assert len(kept.data.judged) == 60
    assert report_page(kept) == report_page(gather_results(learnt, shown_data(dataset, "test"), [], SILENT))


def test_own_pictures_are_shown_after_they_are_moved(moved: Run, tmp_path: Path):
    """The page has the cells' pictures by their file names, and no complaint."""
    done = eyespot.report(moved, tmp_path / "report.html")
    page = done.page.read_text(encoding="utf-8")
    assert done.notes == []
    assert page.count("data-cell=") >= 3
    assert "private-" in page
    assert "The images are not available." not in page


def test_a_sheet_is_a_picture_of_the_images(learnt: Run):
    """Image by image, line by line, in the order of the index."""
    index = json.loads((learnt.path / "images" / "index.json").read_text())
    dataset, _ = pictures_of(learnt)
    assert index["class_counts"]["train"] == dataset.class_counts(dataset.train).tolist()
    with Image.open(learnt.path / "images" / "test.png") as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (2 * 8, 32 * 8)
    assert dataset.test is not None
    for place, row in enumerate(index["sheets"]["test"]["rows"]):
        line, column = divmod(place, 32)
        tile = sheet[8 * line : 8 * line + 8, 8 * column : 8 * column + 8]
        assert (tile == dataset.test.images[row][..., 0]).all()


def test_the_most_confident_mistakes_are_kept_first(own: Run, monkeypatch: pytest.MonkeyPatch):
    """Where not all have room, the sheet stays below its limit, and a page takes the dataset where it is at hand."""
    dataset, _ = pictures_of(own)
    monkeypatch.setattr(module, "MOST_BYTES", 64 * (MISTAKES + 10))
    keep_images(own, dataset, "test")
    kept, stored = kept_images(own, "test", names_of(own)), read_predictions(own, "test", names_of(own))
    assert kept is not None
    assert not kept.is_complete
    assert len(kept.rows) == MISTAKES + 10
    wrong = np.flatnonzero(~stored.right)
    order = wrong[np.argsort(-stored.probabilities[wrong].max(axis=1), kind="stable")]
    assert kept.rows[:MISTAKES].tolist() == order[:MISTAKES].tolist()
    with_dataset = report_facts(own, SILENT)
    assert with_dataset.data is not None
    assert len(with_dataset.data.rows) == 60
    with pytest.MonkeyPatch.context() as gone:
        gone.setattr("eyespot.workflow.report.pictures_of", missing)
        assert report_facts(own, SILENT).notes == [
            "The dataset is not available. The images that the run keeps are shown."
        ]


def missing(*_: Any) -> None:
    raise DataError("gone")


def change_index(run: Run, **changes: Any) -> None:
    index = json.loads((run.path / "images" / "index.json").read_text())
    run.write_json("images/index.json", index | changes)


def change_sheet(run: Run, **changes: Any) -> None:
    """Other entries of the test images' sheet."""
    sheets = json.loads((run.path / "images" / "index.json").read_text())["sheets"]
    change_index(run, sheets=sheets | {"test": sheets["test"] | changes})


def other_sheet(run: Run, mode: str, size: tuple[int, int]) -> None:
    """A sheet that the index names, of another size or other colours."""
    path = run.path / "images" / "test.png"
    Image.new(mode, size).save(path)
    change_sheet(run, sha256=sha256_of(path))


def other_labels(run: Run) -> None:
    """Predictions of other images."""
    stored = read_predictions(run, "test", names_of(run))
    other = StoredPredictions((stored.labels + 1) % 10, stored.probabilities)
    write_predictions(run, "test", other, names_of(run))


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run.path / "images" / "index.json").unlink(),
        lambda run: (run.path / "images" / "index.json").write_bytes(b"\xff{"),
        lambda run: (run.path / "images" / "index.json").write_text("[1]"),
        lambda run: (run.path / "images" / "test.png").unlink(),
        lambda run: Image.new("L", (256, 16)).save(run.path / "images" / "test.png"),
        lambda run: other_sheet(run, "L", (512, 32)),
        lambda run: other_sheet(run, "RGB", (256, 16)),
        lambda run: other_sheet(run, "L", (32_000, 1)),
        lambda run: change_index(run, format=2),
        lambda run: change_index(run, judged="validation"),
        lambda run: change_index(run, image_shape=[4, 16, 1]),
        lambda run: change_index(run, image_shape=[8, 8, 3]),
        lambda run: change_index(run, image_shape=[1 << 20, 8, 1]),
        lambda run: change_index(run, image_shape=[-8, -8, 1]),
        lambda run: change_index(run, class_counts={"train": [1]}),
        lambda run: change_sheet(run, rows=[0]),
        lambda run: change_sheet(run, rows=list(range(1_000_000))),
        lambda run: change_sheet(run, rows=[-1] * 60),
        lambda run: change_sheet(run, rows=[[0]] * 60),
        lambda run: change_sheet(run, labels=[0] * 60),
        lambda run: change_sheet(run, files=["one"]),
        other_labels,
    ],
)
def test_what_is_damaged_or_of_other_images_is_not_shown(damage: Callable[[Run], Any], own: Run):
    """Kept images that are not what the index says, or not those of the predictions, count as none."""
    assert kept_images(own, "test", names_of(own)) is not None
    damage(own)
    assert kept_images(own, "test", names_of(own)) is None


def test_figures_come_from_predictions_where_the_dataset_is_gone(moved: Run, tmp_path: Path):
    """They are those that were measured, a note says where they come from, and the run's own figures stay."""
    own = Run(shutil.copytree(moved.path, tmp_path / "r"))
    before = own.file("metrics.json").read_bytes()
    measured = eyespot.evaluate(own)
    written, found = own.metrics["test"], measured.to_dict()
    for name in ("n", "accuracy", "correct", "confusion", "report", "macro_f1_interval", "most_confused"):
        assert found[name] == (tuple(written[name]) if isinstance(found[name], tuple) else written[name])
    assert found["loss"] == pytest.approx(written["loss"], rel=1e-5)
    for name in ("calibration", "before_calibration"):
        for figure in ("ece", "brier", "nll"):
            assert found[name][figure] == pytest.approx(written[name][figure], rel=1e-4)
    (note,) = measured.notes
    assert own.recipe.dataset in note
    assert "predictions.parquet" in note
    assert own.file("metrics.json").read_bytes() == before
    own.file("predictions.parquet").unlink()
    with pytest.raises(DataError, match="no longer at"):
        eyespot.evaluate(own)


def test_a_run_is_measured_anew_from_predictions(moved: Run, tmp_path: Path):
    """Figures of an earlier eyespot, without calibration, are completed where the dataset is gone."""
    own = Run(shutil.copytree(moved.path, tmp_path / "r"))
    metrics = own.metrics
    del metrics["test"]["calibration"]
    own.write_json("metrics.json", metrics)
    eyespot.report(own)
    assert own.metrics["test"]["calibration"]["ece"] == pytest.approx(moved.metrics["test"]["calibration"]["ece"])


def test_evaluating_keeps_images(own: Run):
    """A run of an earlier eyespot has none; where its dataset is at hand, they are kept when it is evaluated."""
    shutil.rmtree(own.path / "images")
    eyespot.evaluate(own)
    assert kept_images(own, "test", names_of(own)) is not None


def test_without_dataset_and_kept_images_a_sentence_says_so(moved: Run, tmp_path: Path):
    """A run of an earlier eyespot whose pictures are gone is reported as before, in few words."""
    own = Run(shutil.copytree(moved.path, tmp_path / "r"))
    shutil.rmtree(own.path / "images")
    done = eyespot.report(own, language="zh")
    assert done.notes == ["The dataset is not available, and the run keeps no images: none are shown."]
    page = done.page.read_text(encoding="utf-8")
    assert "data-cell=" not in page
    assert "数据集不可用" in page


def test_a_comparison_shows_what_its_runs_keep(learnt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every image that only one of two predicts correctly is a mistake of the other, which keeps it."""
    other = eyespot.train("digits", output=tmp_path / "other", **OPTIONS | {"epochs": 3}).run
    names = names_of(learnt)
    with_dataset, _ = pictures_of(learnt)
    monkeypatch.setattr("eyespot.workflow.compare.pictures_of", missing)
    shown = _images([learnt, other], "test", names)
    assert shown is not None
    assert shown.judged is not None
    assert with_dataset.test is not None
    assert (np.asarray(shown.judged.images) == with_dataset.test.images[shown.rows]).all()
    found = eyespot.compare([learnt, other], tmp_path / "c.html")
    (pair,) = found.pairs
    assert {*pair.only_first.tolist(), *pair.only_second.tolist()} <= set(shown.rows.tolist())
    assert '<div class="gallery"><figure>' in found.page.read_text(encoding="utf-8").replace("\n", "")
    for run in (learnt, other):
        keepless = Run(shutil.copytree(run.path, tmp_path / f"{run.name}-keepless"))
        shutil.rmtree(keepless.path / "images")
    without = [Run(tmp_path / f"{run.name}-keepless") for run in (learnt, other)]
    bare = eyespot.compare(without, tmp_path / "bare.html")
    assert "The images are not available." in bare.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["onnx", "web"])
def test_kept_images_leave_the_run_nowhere(form: str, moved: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither an export nor a served page nor the model card has a person's pictures, though the run keeps some."""
    from eyespot.exporting import web
    from eyespot.workflow.serve import _test_pictures

    monkeypatch.setattr(web, "runtime_files", lambda: {"ort.wasm.bundle.min.mjs": b"//", "ort.wasm": b"\0asm"})

    assert (moved.path / "images" / "test.png").exists()
    examples = _test_pictures(moved.path, None)
    assert len(examples.images) == 0
    own = Run(shutil.copytree(moved.path, tmp_path / "r"))
    done = eyespot.export(own, form, on=moved.path.parent / "elsewhere")
    for path in done.folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert b"private-" not in content
        assert path.suffix not in {".png", ".webp"}
    assert "private-" not in own.file("model-card.md").read_text(encoding="utf-8")


def test_colour_images_are_kept(tmp_path: Path):
    """Three channels, a side that is not the other."""
    generator = np.random.default_rng(0)
    bars = load("digits")
    images = generator.integers(0, 256, (40, 6, 9, 3), dtype=np.uint8)
    split = type(bars.train)(images, np.arange(40) % 2)
    colours = replace(bars, name="colours", class_names=("a", "b"), train=split, validation=None, test=split)
    run = eyespot.train(colours, output=tmp_path / "r", **OPTIONS).run
    kept = kept_images(run, "test", ("a", "b"))
    assert kept is not None
    assert kept.judged is not None
    assert (kept.judged.images == images[kept.rows]).all()
