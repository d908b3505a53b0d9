"""An export is measured beside its run, and refused where it answers worse."""

import numpy as np
import pytest

from eyespot.data.dataset import Split
from eyespot.errors import ExportError
from eyespot.exporting import verify as module
from eyespot.exporting.verify import verify
from eyespot.shapes import Float32

CLASSES = 4


def split(n: int) -> Split:
    """Pictures whose first pixel is their row's number, and labels that go round."""
    images = np.zeros((n, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(n)
    return Split(images, np.arange(n) % CLASSES)


def sure(classes: np.ndarray, share: float = 0.7) -> Float32[np.ndarray, "n classes"]:
    rows = np.full((len(classes), CLASSES), (1 - share) / (CLASSES - 1), np.float32)
    rows[np.arange(len(classes)), classes] = share
    return rows


def right(images: np.ndarray) -> Float32[np.ndarray, "n classes"]:
    return sure(images[:, 0, 0, 0].astype(int) % CLASSES)


def test_agreement_and_accuracy_are_counted(monkeypatch: pytest.MonkeyPatch):
    """Of 100 images, 7 answered otherwise and 3 of these rightly so far: as counted by hand, in batches or not."""

    def exported(images: np.ndarray) -> np.ndarray:
        rows = images[:, 0, 0, 0].astype(int)
        return sure(np.where(rows < 7, (rows + 1) % CLASSES, rows % CLASSES))

    def before(images: np.ndarray) -> np.ndarray:  # wrong on 3, where the export is wrong too
        rows = images[:, 0, 0, 0].astype(int)
        return sure(np.where(rows < 3, (rows + 2) % CLASSES, rows % CLASSES), share=0.6)

    for batch in (9, 1000):
        monkeypatch.setattr(module, "BATCH", batch)
        found = verify("x", exported, before, split(100))
        assert (found.pictures, found.agreement) == (100, 0.93)
        assert (found.accuracy, found.accuracy_before) == (0.93, 0.97)
        assert found.largest_difference == pytest.approx(0.7 - 0.4 / 3, abs=1e-6)


def test_a_shuffled_model_is_refused():
    """Positive control: the same answers under other classes agree nowhere, and are refused at any usual tolerance."""
    found = verify("x", lambda images: np.roll(right(images), 1, axis=1), right, split(80))
    assert (found.agreement, found.accuracy, found.accuracy_before) == (0, 0, 1)
    with pytest.raises(ExportError, match=r"The export as x is refused: its accuracy on 80 images is 0\.00%, the"):
        found.check("x", 0.005)


def test_the_tolerance_is_exact():
    """One image of 200 more than is allowed is refused, as many as are allowed are not."""

    def exported(images: np.ndarray) -> np.ndarray:
        rows = images[:, 0, 0, 0].astype(int)
        return sure(np.where(rows < 2, (rows + 1) % CLASSES, rows % CLASSES))

    found = verify("x", exported, right, split(200))
    found.check("x", 0.01)
    with pytest.raises(ExportError, match="refused"):
        found.check("x", 0.0099)


@pytest.mark.parametrize(
    "broken",
    [
        lambda rows: rows * np.float32(np.nan),
        lambda rows: rows[:, :-1],
        lambda rows: rows[:-1],
        lambda rows: rows * 2,
        lambda rows: rows - np.eye(CLASSES, dtype=np.float32)[:1] + 1 / CLASSES,  # adds up to 1, with one below 0
    ],
    ids=["not numbers", "a class less", "an image less", "twice", "below 0"],
)
def test_what_are_no_probabilities_is_refused(broken):
    """NaN, rows that do not add up to 1, another shape: told as what they are."""
    with pytest.raises(ExportError, match="what it gives are no probabilities of 4 classes"):
        verify("x", lambda images: np.asarray(broken(right(images)), np.float32), right, split(8))


def test_a_program_that_fails_is_told():
    """Whatever a runtime raises becomes one sentence."""

    def exported(images: np.ndarray) -> np.ndarray:
        raise MemoryError("no room\nat all")

    with pytest.raises(ExportError, match=r"^The export as x does not run: no room\.$"):
        verify("x", exported, right, split(8))
