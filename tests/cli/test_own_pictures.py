"""A user's own images, from the command line, from one end of the path to the other."""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot import train
from tests.conftest import Answer, make_split

Command = Callable[..., Answer]
NAMES = ("lying", "standing", "slanting")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars as PNG files in train and test folders: one broken, one leak, one blank, one note."""
    bars = tmp_path_factory.mktemp("written") / "bars"
    for name, split in (("train", make_split(24, seed=1)), ("test", make_split(6, seed=2))):
        for row, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = bars / name / NAMES[label] / f"{row:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(image)[..., 0]).save(path)
    broken, leak = next((bars / "train/lying").iterdir()), next((bars / "test/lying").iterdir())
    broken.write_bytes(broken.read_bytes()[:50])
    (bars / "train/lying/leak.png").write_bytes(leak.read_bytes())
    Image.new("L", (8, 8), 120).save(bars / "train/lying/zzz.png")
    (bars / "train/lying/notes.txt").write_text("bars that lie")
    return bars


@pytest.fixture
def folder(written: Path, here: Path) -> Path:
    """A copy of the written bars."""
    return Path(shutil.copytree(written, here / "bars"))


@pytest.fixture(scope="module")
def trained(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the written bars; tests that write into it take a copy."""
    output = tmp_path_factory.mktemp("trained") / "r"
    train(str(written), output=output, model="mlp", epochs=12, seed=3, verbose=0)
    return output


def test_look_lists_what_is_wrong(eyespot: Command, folder: Path):
    """Findings are no failure: the exit code is 0, and JSON names each file and reason, and both sides of a leak."""
    answer = eyespot("look", "bars", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    reasons = {skipped["file"]: skipped["reason"] for skipped in found["skipped"]}
    assert reasons["train/lying/notes.txt"] == "its name is not that of an image"
    assert len(reasons) == 2
    leaks = [pair for pair in found["duplicates"] if pair["leak"] and pair["kind"] == "exact"]
    assert "train/lying/leak.png" in {side["file"] for pair in leaks for side in pair["pictures"]}
    assert found["oddities"][0]["file"] == "train/lying/zzz.png"
    assert found["suspects"]["ranked"][0]["file"].startswith("train/")
    assert {Path(path).name for path in found["figures"]} >= {"leaks.png", "oddities.png", "suspects.png"}
    assert all(Path(path).is_file() for path in found["figures"])


@pytest.mark.usefixtures("folder")
def test_look_tells_people_the_same(eyespot: Command, here: Path):
    """In sentences, each fact once, and the first findings by file; all of them are in a table."""
    out = eyespot("look", "bars", "--no-labels").out
    assert out.count("left out:") == 1
    assert "eyespot look lists" not in out
    assert re.search(r"equal images lies? in the training and the test split: the test accuracy may be too good\.", out)
    assert "--drop-leaks" in out
    listed = out.partition("Files that are left out")[2].splitlines()[2:4]
    assert listed[0].split(maxsplit=1)[0] == "train/lying/notes.txt"
    assert listed[0].rstrip().endswith("its name is not that of an image")
    leak = next(line for line in out.splitlines() if "exactly equal" in line and "train/lying/leak.png" in line)
    assert leak.split()[:3] == ["train", "train/lying/leak.png", "lying"]
    outliers = out.partition("Images that stand out")[2].partition("All findings")[0].strip().splitlines()
    assert outliers[1].split(maxsplit=3)[1:] == ["train/lying/zzz.png", "lying", outliers[1].split(maxsplit=3)[3]]
    assert outliers[1].split(maxsplit=3)[3].startswith("low contrast: contrast 0 (median ")
    path = re.search(r"All findings: (.+)", out)
    assert path
    with (here / path[1]).open(encoding="utf-8-sig", newline="") as file:
        kinds = Counter(row["kind"] for row in csv.DictReader(file))
    assert kinds["skipped"] == 2
    assert kinds["leak"] == 1
    assert outliers[-1] == f"… and {kinds['outlier'] - 10} more"
    assert len(outliers) == 1 + 10 + 1


def test_the_whole_path_on_a_folder(eyespot: Command, folder: Path):
    """Train, evaluate on its own test images, predict one, and train on: the recipe says how images were read."""
    answer = eyespot("train", "bars", "--model", "mlp", "--epochs", 12, "--seed", 3, "--output", "r")
    assert answer.code == 0
    assert "2 files are left out" in answer.out
    recipe = (Path("r") / "recipe.yaml").read_text(encoding="utf-8")
    assert f"dataset: {folder}" in recipe
    assert "resize: pad" in recipe
    judged = json.loads(eyespot("evaluate", "r", "--json").out)
    assert judged["on"] == "test"
    assert judged["accuracy"] > 0.8
    table = Path(judged["mistakes_csv"]).read_text(encoding="utf-8-sig")
    mistakes = list(csv.DictReader(table.splitlines()))
    assert len(mistakes) == judged["incorrect"]
    assert all((folder / row["file"]).parent.name == row["label"] != row["prediction"] for row in mistakes)
    for_people = eyespot("evaluate", "r").out
    assert all(row["file"] in for_people for row in mistakes[:10])
    assert [row["probability"] for row in mistakes] == sorted((row["probability"] for row in mistakes), reverse=True)
    picture = next((folder / "test" / "standing").iterdir())
    assert json.loads(eyespot("predict", "r", picture, "--json").out)[0]["label"] in NAMES
    more = eyespot("train", "--resume", "r", "--epochs", 13)
    assert more.code == 0


def test_a_folder_without_test_images_gets_some(eyespot: Command, folder: Path):
    """Without the option train says what it does; with it, one run is measured and all commands find its images."""
    (folder / "train").rename("bars-only")
    without = eyespot("train", "bars-only", "--model", "mlp", "--epochs", 1, "--output", "a")
    assert "There are no test images" in without.out
    assert "--test-fraction 0.2 holds out a fifth" in without.out
    options = ("--model", "mlp", "--test-fraction", 0.25)
    done = eyespot("train", "bars-only", *options, "--epochs", 12, "--output", "b")
    assert done.code == 0
    assert "Test: accuracy" in done.out
    assert "There are no test images" not in done.out
    told = json.loads((Path("b") / "metrics.json").read_text(encoding="utf-8"))["test"]
    judged = json.loads(eyespot("evaluate", "b", "--json").out)
    assert judged["notes"] == []
    assert (judged["on"], judged["n"], judged["accuracy"]) == ("test", told["n"], told["accuracy"])
    assert eyespot("train", "bars-only", *options, "--epochs", 1, "--seed", 7, "--output", "c").code == 0
    compared = json.loads(eyespot("compare", "b", "c", "--json").out)
    assert compared["judged"] == "test"
    assert f"on {told['n']} images" in compared["pairs"][0]["sentence"]
    other = ("--test-fraction", 0.5, "--output", "d")
    assert eyespot("train", "bars-only", "--model", "mlp", "--epochs", 1, *other).code == 0
    assert "was measured on other test images" in eyespot("compare", "b", "d").err
    both = eyespot("train", "bars", "--test-fraction", 0.2)
    assert both.code == 1


def test_leaks_are_dropped_where_asked(eyespot: Command, folder: Path):
    """Training has fewer images, and is told why; of bars that all slant alike, most are near one in the test."""
    kept = eyespot("train", "bars", "--model", "mlp", "--epochs", 1, "--split", "none", "--output", "a")
    asked = ("--split", "none", "--drop-leaks", "--output", "b")
    dropped = eyespot("train", "bars", "--model", "mlp", "--epochs", 1, *asked)
    assert ", 73 train" in kept.out
    assert "lies in the training and the test split" in kept.out
    assert kept.out.count("left out:") == 1
    assert "eyespot look lists these files and images." in kept.out
    left = re.search(r"(\d+) train", dropped.out)
    assert left
    assert int(left[1]) < 73


def test_other_pictures_judge_a_run_too(eyespot: Command, trained: Path, folder: Path, here: Path):
    """A folder with some of the classes, in another size, is brought to what the model takes."""
    (here / "more" / "standing").mkdir(parents=True)
    for path in (folder / "test" / "standing").iterdir():
        Image.open(path).resize((16, 16), Image.Resampling.NEAREST).save(here / "more" / "standing" / path.name)
    shutil.copytree(trained, here / "r")
    judged = json.loads(eyespot("evaluate", "r", "--on", "more", "--json").out)
    assert judged["n"] == 6
    assert judged["accuracy"] > 0.6


def test_pictures_that_were_moved_are_told(eyespot: Command, trained: Path, written: Path, folder: Path, here: Path):
    """A run whose images are gone says where they were; its figures are those of the predictions that it keeps."""
    shutil.copytree(trained, here / "r")
    recipe = (here / "r" / "recipe.yaml").read_text(encoding="utf-8")
    assert str(written) in recipe
    (here / "r" / "recipe.yaml").write_text(recipe.replace(str(written), str(folder)), encoding="utf-8")
    folder.rename(here / "elsewhere")
    answer = eyespot("evaluate", "r")
    assert answer.code == 0
    assert f"The dataset {folder} is not available" in answer.out
    (here / "r" / "predictions.parquet").unlink()
    answer = eyespot("evaluate", "r")
    assert answer.code == 1
    assert f"no longer at {folder}" in answer.err
    assert eyespot("evaluate", "r", "--on", "elsewhere").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing/here",), "There is no file or folder nothing/here"),
        (("bars", "--size", "big"), "pictures.size"),
        (("bars", "--size", "0"), "pictures.size"),
        (("bars", "--resize", "stretch"), "--resize must be"),
        (("bars", "--class-names", "none.yaml"), "There is no file of class names"),
        (("bars/train/lying",), "no folders that say what they show"),
        (("bars/train/lying/notes.txt",), "is no dataset"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(eyespot: Command, folder: Path, arguments: tuple[str, ...], told: str):
    """A path to nothing, a size that is none, an unknown way to resize, a missing file of names."""
    for command in ("train", "look"):
        answer = eyespot(command, *arguments)
        assert answer.code == 1
        assert told in answer.err
        assert "Traceback" not in answer.err


def test_one_class_is_told(eyespot: Command, here: Path):
    """Nothing can be told apart: a sentence with its name."""
    (here / "one" / "cat").mkdir(parents=True)
    for name in range(5):
        Image.new("L", (8, 8), name * 20).save(here / "one" / "cat" / f"{name}.png")
    answer = eyespot("train", "one")
    assert answer.code == 1
    assert "of one class, 'cat'" in answer.err


def test_a_class_with_one_picture_is_told(eyespot: Command, here: Path):
    """It cannot be shared between training and validation: a sentence says what to do."""
    for label, number in (("cat", 8), ("dog", 1)):
        (here / "few" / label).mkdir(parents=True)
        for name in range(number):
            Image.new("L", (8, 8), name * 20).save(here / "few" / label / f"{name}.png")
    answer = eyespot("train", "few")
    assert answer.code == 1
    assert "'dog' has only one image" in answer.err
    assert eyespot("look", "few").code == 0
