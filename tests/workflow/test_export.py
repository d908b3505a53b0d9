"""export, from a run to a folder; and the model card that every training leaves."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.errors import DataError, ExportError, RunError
from eyespot.inference.metadata import read_metadata
from eyespot.inference.predictor import Predictor
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.workflow.card import card_of
from tests.conftest import Answer


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose images are always at hand."""
    settings = {"model.name": "mlp", "training.epochs": 2}
    output = tmp_path_factory.mktemp("runs") / "digits"
    return eyespot.train("digits", Recipe(), output, settings=settings, verbose=0).run


def test_the_card_is_there_after_training(digits: Run):
    """As a file and inside model.onnx, the same text, with the figures that were measured on the test data."""
    card = (digits.path / "model-card.md").read_text(encoding="utf-8")
    assert digits.predictor().card == card
    assert f"{digits.metrics['test']['accuracy']:.2%}" in card
    assert card.startswith("# digits\n")
    assert digits.predictor().rejection.threshold() > 0  # what was there before stays


def test_the_card_is_that_of_the_report(digits: Run, tmp_path: Path):
    """Facts are gathered in one place: a report writes the same card."""
    done = eyespot.report(digits, tmp_path / "report.html")
    assert done.card.read_text(encoding="utf-8") == digits.predictor().card


def test_a_run_without_figures_has_a_card(bars: Dataset, tmp_path: Path):
    """Where there is neither test nor validation data, the card says so."""
    alone = Dataset("alone", bars.class_names, bars.train)
    settings = {
        "model.name": "mlp", "split.method": "none", "training.epochs": 1, "training.early_stopping": False,
    }  # fmt: skip
    done = eyespot.train(alone, Recipe(), tmp_path / "run", settings=settings, verbose=0)
    assert "Not evaluated: there were no test or validation images." in (done.run.predictor().card or "")


def test_a_run_of_an_earlier_eyespot_gets_its_card(digits: Run, tmp_path: Path):
    """Without one in model.onnx, the card is made of the run's files; exports carry it."""
    old = Run(shutil.copytree(digits.path, tmp_path / "digits"))
    model = onnx.load(old.file("model.onnx"))
    texts = {entry.key: entry.value for entry in model.metadata_props if entry.key != "eyespot.card"}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, old.file("model.onnx"))
    assert old.predictor().card is None
    assert card_of(old) == digits.predictor().card
    done = eyespot.export(old, "onnx")
    assert read_metadata(done.folder / "model.onnx")["eyespot.card"] == digits.predictor().card


def test_an_export_lies_in_the_run(digits: Run, tmp_path: Path, eyespot: Callable[..., Answer]):
    """One line of JSON: where it is, what it holds, and how it compares on the validation images."""
    copy = Run(shutil.copytree(digits.path, tmp_path / "digits"))
    answer = eyespot("export", copy.path, "--format", "onnx-int8", "--json")
    assert answer.code == 0
    told = json.loads(answer.out)
    folder = copy.path / "exports" / "onnx-int8"
    assert told["folder"] == str(folder)
    assert told["files"] == {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(told["files"]) == {"model.onnx", "metadata.json", "model-card.md"}
    assert (told["format"], told["on"], told["tolerance"]) == ("onnx-int8", "validation", 0.005)
    assert told["pictures"] == copy.metrics["validation"]["n"]
    assert told["accuracy_before"] == pytest.approx(copy.metrics["validation"]["accuracy"])
    assert told["agreement"] > 0.98
    assert 0 < told["largest_difference"] < 0.2
    assert Predictor(folder / "model.onnx").card == copy.predictor().card
    assert (folder / "model-card.md").read_text(encoding="utf-8") == copy.predictor().card


def test_it_tells_people_in_a_table(digits: Run, tmp_path: Path, eyespot: Callable[..., Answer]):
    """Files, agreement and accuracy, and where it is."""
    answer = eyespot("export", digits.path, "--output", tmp_path / "here")
    assert answer.code == 0
    assert "100.00%" in answer.out
    assert "model.onnx" in answer.out
    assert f"Export: {tmp_path / 'here'}" in answer.out


def test_too_much_lost_is_refused(digits: Run, tmp_path: Path, eyespot: Callable[..., Answer], monkeypatch):
    """With an exit code, one sentence and nothing left behind; a larger tolerance accepts it."""
    from eyespot.exporting.onnx import FORMAT

    opened = FORMAT.opened

    def worse(folder: Path):
        ask = opened(folder)
        return lambda images: np.roll(ask(images), 1, axis=1)

    monkeypatch.setattr(FORMAT, "opened", worse, raising=False)
    answer = eyespot("export", digits.path, "--output", tmp_path / "x")
    assert (answer.code, answer.out) == (1, "")
    assert "is refused: its accuracy on" in answer.err
    assert not list(tmp_path.iterdir())
    assert eyespot("export", digits.path, "--output", tmp_path / "x", "--tolerance", 1).code == 0


def test_pictures_that_are_gone_are_asked_for(run: Run, bars: Dataset, tmp_path: Path):
    """A run on arrays cannot be compared on its own; others of the same classes do."""
    with pytest.raises(DataError, match="not kept: name others with `on`"):
        eyespot.export(run, "onnx", tmp_path / "x")
    done = eyespot.export(run, "onnx", tmp_path / "x", on=bars)
    assert (done.on, done.verified.pictures) == ("bars (test)", 30)


@pytest.mark.usefixtures("few_digits")
def test_without_validation_pictures_training_ones_serve(tmp_path: Path):
    """And that is said; test images are left alone."""
    settings = {
        "model.name": "mlp", "split.method": "none", "training.epochs": 1, "training.early_stopping": False,
    }  # fmt: skip
    done = eyespot.train("digits", Recipe(), tmp_path / "run", settings=settings, verbose=0)
    exported = eyespot.export(done.run, "onnx")
    assert exported.on == "train"
    assert "no validation images" in exported.notes[-1]


def test_what_cannot_be_exported_is_told(digits: Run, tmp_path: Path, eyespot: Callable[..., Answer]):
    """No run, half a run, no such format, a file in the way, a tolerance that is none: a sentence, and exit code 1."""
    half = Run(shutil.copytree(digits.path, tmp_path / "half"))
    (half.path / "model.keras").unlink()
    (tmp_path / "file").write_text("mine")
    cases = {
        (tmp_path / "nowhere",): "There is no run at",
        (half.path,): "has no model.keras",
        (digits.path, "--format", "onx"): "no format named 'onx'. Did you mean 'onnx'?",
        (digits.path, "--output", tmp_path / "file"): "is no folder: choose another --output",
        (digits.path, "--output", digits.path): "holds other things than an export",
        (digits.path, "--tolerance", 2): "from 0 to 1; received 2",
    }
    for arguments, sentence in cases.items():
        answer = eyespot("export", *arguments)
        assert answer.code == 1
        assert sentence in answer.err
        assert answer.err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_errors_are_of_their_kind(digits: Run, tmp_path: Path):
    """As the Python function documents them."""
    with pytest.raises(RunError):
        eyespot.export(tmp_path / "nowhere")
    with pytest.raises(ExportError):
        eyespot.export(digits, "tflite", tmp_path / "x")


def test_an_export_is_written_over_unless_somebody_changed_it(
    digits: Run, tmp_path: Path, eyespot: Callable[..., Answer]
):
    """By the command: again and again; not once a correction lies in the folder, which stays, with exit code 1."""
    for _ in range(2):
        assert eyespot("export", digits.path, "--output", tmp_path / "x").code == 0
    kept = tmp_path / "x" / "corrections" / "7" / "seven.png"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    answer = eyespot("export", digits.path, "--output", tmp_path / "x")
    assert answer.code == 1
    assert "would be lost: move it away, or choose another --output" in answer.err
    assert answer.err.count("\n") == 1
    assert kept.read_text() == "mine"
