"""look: what it returns beside what is printed."""

import csv
from pathlib import Path

import numpy as np
import pytest

import eyespot


@pytest.fixture
def found(tmp_path: Path) -> eyespot.Look:
    """Of thirty random images in two splits, three of which are the same and one of which is black."""
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8)).astype(np.uint8)
    images[5] = images[3]
    images[25] = images[3]
    images[7] = 0
    labels = np.arange(30) % 2
    source = ((images[:20], labels[:20]), (images[20:], labels[20:]))
    return eyespot.look(source, tmp_path / "look", labels=False, verbose=0)


def test_findings_are_data_a_table_and_json(found: eyespot.Look):
    """The same rows in each; the path is in JSON."""
    kinds = [finding.kind for finding in found.audit.findings]
    assert kinds == sorted(kinds, key=["skipped", "leak", "duplicate", "outlier", "label"].index)
    leaks = [finding for finding in found.audit.findings if finding.kind == "leak"]
    assert {(leak.row, leak.other_row) for leak in leaks} == {(3, 5), (5, 5)}
    with found.findings_csv.open(encoding="utf-8-sig", newline="") as file:
        assert [row["kind"] for row in csv.DictReader(file)] == kinds
    assert found.to_dict()["findings_csv"] == str(found.findings_csv)
    assert found.findings_csv.parent == found.figures[0].parent


def test_a_notebook_lists_findings(found: eyespot.Look):
    """By split and row where images are no files, and where all of them are."""
    html = found._repr_html_()
    for part in ("Pairs in two splits:", "Images that stand out:", "row 7", "exactly equal", "findings.csv"):
        assert part in html
