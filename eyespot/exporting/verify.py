"""Whether an export answers as the run's own model does."""

from dataclasses import asdict, dataclass

import numpy as np

from eyespot.data.dataset import Split
from eyespot.errors import ExportError, first_line
from eyespot.exporting.formats import PredictFunction
from eyespot.shapes import Float32, UInt8

BATCH = 256  # images
ROUNDING = 1e-6  # of a product of two floats
OFF = 1e-3  # how far from 1 an image's probabilities may add up: half-precision numbers are off by as much


@dataclass(frozen=True)
class Verification:
    """An export beside the model it was made from, on the same images.

    Attributes:
        pictures: how many.
        agreement: the share of them on which both name the same class.
        largest_difference: between two probabilities of the same class of the same image.
        accuracy: of the export, a share.
        accuracy_before: of the run's `model.onnx`.
    """

    pictures: int
    agreement: float
    largest_difference: float
    accuracy: float
    accuracy_before: float

    def to_dict(self) -> dict[str, float]:
        """Plain values, for JSON."""
        return asdict(self)

    def check(self, name: str, tolerance: float) -> None:
        """Raises an ExportError where accuracy has fallen by more than `tolerance`, a share."""
        lost = round((self.accuracy_before - self.accuracy) * self.pictures)
        if lost > tolerance * self.pictures + ROUNDING:
            raise ExportError(
                f"The export as {name} is refused: its accuracy on {self.pictures:,} images is {self.accuracy:.2%}, "
                f"the run's {self.accuracy_before:.2%}, and at most {tolerance:.2%} may be lost (`tolerance`)."
            )


def verify(name: str, exported: PredictFunction, original: PredictFunction, split: Split) -> Verification:
    """Asks both, a batch at a time.

    Raises:
        ExportError: the export cannot be run, or what it gives are no probabilities.
    """
    agreeing = correct = correct_before = 0
    difference = 0.0
    for start in range(0, len(split), BATCH):
        images, labels = np.asarray(split.images[start : start + BATCH]), split.labels[start : start + BATCH]
        expected = original(images)
        actual = _probabilities(name, exported, images, expected.shape)
        agreeing += int((actual.argmax(axis=1) == expected.argmax(axis=1)).sum())
        correct += int((actual.argmax(axis=1) == labels).sum())
        correct_before += int((expected.argmax(axis=1) == labels).sum())
        difference = max(difference, float(np.abs(actual - expected).max()))
    n = len(split)
    return Verification(n, agreeing / n, difference, correct / n, correct_before / n)


def _probabilities(
    name: str, exported: PredictFunction, images: UInt8[np.ndarray, "n height width channels"], shape: tuple[int, ...]
) -> Float32[np.ndarray, "n classes"]:
    try:
        rows = np.asarray(exported(images))
    except ExportError:
        raise
    except Exception as error:  # noqa: BLE001 - each format's runtime raises types of its own: the export is no good
        raise ExportError(f"The export as {name} does not run: {first_line(error)}.") from None
    if rows.shape != shape or not np.isfinite(rows).all() or np.abs(rows.sum(axis=1) - 1).max() > OFF or rows.min() < 0:
        raise ExportError(f"The export as {name} is refused: what it gives are no probabilities of {shape[1]} classes.")
    return rows
