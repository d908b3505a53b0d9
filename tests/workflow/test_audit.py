"""The audit of a dataset: what its sentences say, and how labels are checked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from eyespot.data.audit.duplicates import DuplicatePair
from eyespot.data.audit.outliers import Outlier
from eyespot.data.class_balance import describe_balance
from eyespot.data.dataset import Dataset, Origin, SkippedFile, Split
from eyespot.evaluation.label_errors import SuspectLabels
from eyespot.recipe.data_recipe import PicturesRecipe
from eyespot.workflow import audit as module
from eyespot.workflow.audit import Audit, audit, find_suspect_labels


def split(number: int) -> Split:
    return Split(np.zeros((number, 4, 4, 1), np.uint8), np.arange(number) % 2)


DATASET = Dataset("bars", ("a", "b"), split(8), validation=split(4), test=split(4))


def sentences(*skipped: str, **changes: Any) -> list[str]:
    """Those of an audit that found nothing else than what is given."""
    origin = Origin("/bars", PicturesRecipe(), tuple(SkippedFile(name, "it is empty") for name in skipped))
    found = Audit(replace(DATASET, origin=origin), [], [], describe_balance(DATASET), None)
    return replace(found, **changes).sentences()


def pair(first: str, second: str, kind: Any, row: int = 0, other: int = 0) -> DuplicatePair:
    return DuplicatePair((first, row), (second, other), kind, 0.0)


@pytest.mark.parametrize(
    ("skipped", "sentence"),
    [
        (["a.png"], "1 file is left out: a.png (it is empty)."),
        (["a.png", "b.png", "c.png"], "3 files are left out: a.png (it is empty), and 2 more."),
    ],
)
def test_files_that_are_left_out_are_counted(skipped: list[str], sentence: str):
    """One and several, with the first and its reason."""
    assert sentences(*skipped) == [sentence]


def test_leaks_are_named_with_their_splits_and_how_equal_they_are():
    """A sentence for each two splits; training images alone can be left out of training."""
    leaks = [
        pair("train", "validation", "near"),
        pair("train", "test", "exact"),
        pair("train", "test", "exact", 2, 2),
        pair("train", "test", "near"),
        pair("validation", "test", "near"),
    ]
    remedy = "`pictures.drop_leaks=True` leaves them out of training."
    both = "2 pairs of exactly equal images and 1 pair of nearly equal images"
    near = "1 pair of nearly equal images"
    assert sentences(duplicates=leaks) == [
        f"{near} lies in the training and the validation split: the validation accuracy may be too good. {remedy}",
        f"{both} lie in the training and the test split: the test accuracy may be too good. {remedy}",
        f"{near} lies in the validation and the test split: the test accuracy may be too good.",
    ]


def test_duplicates_with_different_labels_are_said():
    """Two equal images of two classes: one label is wrong."""
    found = sentences(duplicates=[pair("train", "train", "exact", 0, 1), pair("train", "train", "exact", 0, 2)])
    assert found == [
        "2 pairs of exactly equal images lie within the training split: keep one image of each pair.",
        "In 1 of these pairs the labels differ: check which label is right.",
    ]


def test_outliers_are_counted_by_reason():
    """The commonest first, and what to do."""
    oddities = [Outlier(("train", row), reason, 9.0, "") for row, reason in enumerate(["wide", "dark", "dark"])]
    assert sentences(oddities=oddities) == [
        "3 images stand out from the others (2 dark, 1 wide): check whether they belong to the dataset."
    ]
    assert sentences(oddities=oddities[:1]) == [
        "1 image stands out from the others (1 wide): check whether it belongs to the dataset."
    ]


@pytest.mark.parametrize(
    ("estimated", "image", "compare"), [(1, "this image", "its label"), (3, "these images", "each label")]
)
def test_labels_may_be_wrong_and_are_not_said_to_be(estimated: int, image: str, compare: str):
    """What was done, how many of how many, and what to do."""
    suspects = SuspectLabels(np.arange(8), np.linspace(-1, 1, 8), np.zeros(8, np.int64), estimated, 1.0)
    assert sentences(suspects=suspects) == [
        (
            f"{estimated} of 8 training labels may be wrong: small networks took {image} for another class. "
            f"Compare {compare} with the image."
        )
    ]
    assert sentences(suspects=replace(suspects, estimated=0)) == []


def test_a_training_points_to_look_where_there_is_more_to_see():
    """It lists nothing; look itself, which does, is not pointed to."""
    oddities = [Outlier(("train", 0), "dark", 9.0, "")]
    assert sentences(oddities=oddities, brief=True)[-1] == "eyespot look lists these files and images."
    assert not any("eyespot look" in sentence for sentence in sentences("a", "b", oddities=oddities))
    assert len(sentences("a", brief=True)) == 1


def test_what_is_brief_is_what_a_training_asks_for():
    """Without duplicates within a split."""
    assert audit(DATASET, Console(quiet=True), labels=False, within=False).brief
    assert not audit(DATASET, Console(quiet=True), labels=False).brief


def test_labels_are_checked_on_reduced_images(monkeypatch: pytest.MonkeyPatch):
    """Longer than 48 pixels, they are means over blocks, in proportion; smaller ones are as they are."""
    seen: list[Dataset] = []

    def judged(dataset: Dataset, *_: Any) -> np.ndarray:
        seen.append(dataset)
        return np.full((len(dataset.train), 2), 0.5, np.float32)

    monkeypatch.setattr(module, "out_of_fold", judged)
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (6, 48, 30, 1)).astype(np.uint8)
    find_suspect_labels(Dataset("d", ("a", "b"), Split(small, np.arange(6) % 2)), Console(quiet=True))
    assert seen[-1].train.images is small
    for shape in ((96, 48, 3), (96, 96, 1)):
        images = generator.integers(0, 256, (6, *shape)).astype(np.uint8)
        find_suspect_labels(Dataset("d", ("a", "b"), Split(images, np.arange(6) % 2)), Console(quiet=True))
        reduced = np.asarray(seen[-1].train.images)
        assert reduced.shape == (6, 48, shape[1] // 2, shape[2])
        blocks = images.reshape(6, 48, 2, shape[1] // 2, 2, shape[2]).mean(axis=(2, 4))
        assert np.abs(reduced - blocks).max() <= 1
        assert seen[-1].train.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_what_takes_the_time_is_said_first(capsys: pytest.CaptureFixture[str]):
    """With the setting that skips it."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 8, 8, 1)).astype(np.uint8)
    find_suspect_labels(Dataset("d", ("a", "b"), Split(images, np.arange(12) % 2)), Console())
    out = capsys.readouterr().out
    assert out == "Checking 12 training labels with 3 small networks; `labels=False` skips that.\n"


def test_networks_that_cannot_tell_the_classes_judge_no_labels(monkeypatch: pytest.MonkeyPatch):
    """Where they predict fewer than two thirds of the labels, their doubts say nothing, and none is listed."""
    images = np.random.default_rng(0).integers(0, 255, (30, 8, 8, 1), np.uint8)
    dataset = Dataset("d", ("a", "b", "c"), Split(images, np.arange(30) % 3))
    guesses = np.eye(3, dtype=np.float32)[np.arange(30) // 10]
    monkeypatch.setattr(module, "out_of_fold", lambda *_: guesses)
    found = audit(dataset, Console(quiet=True))
    assert found.suspects is None
    assert "predict only 40% of them" in found.sentences()[-1]
    monkeypatch.setattr(module, "out_of_fold", lambda *_: np.eye(3, dtype=np.float32)[dataset.train.labels])
    assert audit(dataset, Console(quiet=True)).suspects is not None
