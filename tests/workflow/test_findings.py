"""Findings of an audit as data, as a CSV table and as people are shown them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from eyespot.data.audit.duplicates import DuplicatePair
from eyespot.data.audit.outliers import Outlier
from eyespot.data.dataset import Dataset, SkippedFile, Split
from eyespot.evaluation.label_errors import SuspectLabels
from eyespot.workflow.findings import (
    COLUMNS,
    Finding,
    label_findings,
    outlier_findings,
    pair_findings,
    skipped_findings,
    tables_of,
    write_findings,
)


def dataset(files: bool) -> Dataset:
    """Four training and two test images, with files or without."""
    images = np.zeros((6, 4, 4, 1), np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    names = tuple(f"{'猫狗'[label]}/{row}.png" for row, label in enumerate(labels)) if files else None
    return Dataset(
        "pets",
        ("猫", "狗"),
        Split(images[:4], labels[:4], names[:4] if names else None),
        test=Split(images[4:], labels[4:], names[4:] if names else None),
    )


@pytest.fixture
def findings() -> list[Finding]:
    """One of each kind, of images that are files."""
    pets = dataset(files=True)
    pairs = [
        DuplicatePair(("train", 0), ("test", 0), "exact", 0.0),
        DuplicatePair(("train", 0), ("train", 1), "near", 1e-4),
    ]
    suspects = SuspectLabels(np.array([3, 2, 1, 0]), np.array([-0.9, -0.2, 0.1, 0.5]), np.array([0, 1, 0, 1]), 1, 1.0)
    return [
        *skipped_findings([SkippedFile("LICENSE", "it lies in no class's folder")]),
        *pair_findings(pets, pairs),
        *outlier_findings(pets, [Outlier(("test", 1), "dark", 7.123, "mean pixel 3 (median 90)")]),
        *label_findings(pets, suspects),
    ]


def test_each_finding_names_its_file_its_class_and_why(findings: list[Finding]):
    """A pair names both images, and that their labels differ; a label the class that is likelier."""
    skipped, leak, duplicate, outlier, label = findings
    assert (skipped.kind, skipped.file, skipped.split, skipped.row) == ("skipped", "LICENSE", None, None)
    assert (leak.kind, leak.file, leak.other_split, leak.other_file) == ("leak", "猫/0.png", "test", "猫/4.png")
    assert leak.reason == "exactly equal"
    assert (duplicate.kind, duplicate.reason) == ("duplicate", "nearly equal, different labels")
    assert (duplicate.label, duplicate.other_label, duplicate.measure) == ("猫", "狗", 1e-4)
    assert (outlier.split, outlier.file, outlier.reason) == ("test", "狗/5.png", "dark: mean pixel 3 (median 90)")
    assert (label.file, label.label, label.suggested, label.measure) == ("狗/3.png", "狗", "猫", -0.9)


def test_as_many_labels_are_listed_as_are_estimated_to_be_wrong():
    """The most suspect first; those that are likely right are not listed."""
    suspects = SuspectLabels(np.array([3, 2, 1, 0]), np.array([-0.9, -0.2, 0.1, 0.5]), np.array([0, 1, 0, 1]), 2, 1.0)
    assert [finding.row for finding in label_findings(dataset(files=False), suspects)] == [3, 2]


def test_the_table_is_read_back_as_it_was_written(findings: list[Finding], tmp_path: Path):
    """In UTF-8 with the mark that spreadsheets need, a row a finding, empty where there is nothing."""
    path = write_findings(findings, tmp_path / "findings.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfkind,split,row,file,label,")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [{name: "" if getattr(f, name) is None else str(getattr(f, name)) for name in COLUMNS} for f in findings]
    assert rows == shown


def test_a_table_without_findings_has_its_columns(tmp_path: Path):
    """A program that reads it needs no case for it."""
    assert write_findings([], tmp_path / "f.csv").read_text("utf-8-sig") == ",".join(COLUMNS) + "\n"


def test_people_are_shown_a_table_for_each_kind(findings: list[Finding]):
    """With what matters of it; a single file that is left out has its sentence already."""
    tables = {table.title: table for table in tables_of([*findings, *findings[:1]])}
    assert len(tables) == 5
    assert tables["Files that are left out"].rows == [("LICENSE", "it lies in no class's folder")] * 2
    assert tables["Labels that may be wrong"].columns == ("image", "label", "perhaps", "margin")
    assert tables["Labels that may be wrong"].rows == [("狗/3.png", "狗", "猫", "-0.90")]
    assert "Files that are left out" not in {table.title for table in tables_of(findings)}


def test_an_image_that_is_no_file_is_called_by_its_row():
    """Of arrays and public datasets the split and row say where it is."""
    (leak,) = pair_findings(dataset(files=False), [DuplicatePair(("train", 2), ("test", 0), "near", 5e-4)])
    assert (leak.image, leak.other_image) == ("row 2", "row 0")
    (table,) = tables_of([leak])
    assert table.rows == [("train", "row 2", "猫", "test", "row 0", "猫", "nearly equal")]
