"""What `--reject` goes by, put into a run's `model.onnx` at the end of its training."""

from pathlib import Path

from eyespot.data.dataset import Dataset
from eyespot.evaluation.rejection import fit_rejection
from eyespot.export.metadata import add_metadata
from eyespot.inference.predictor import Predictor
from eyespot.inference.rejection import REJECTION_KEY
from eyespot.output import Output


def learn_to_reject(path: Path, dataset: Dataset, seed: int, out: Output) -> None:
    """Fits on training data and, for what is usual, on validation data."""
    if dataset.validation is None:
        out.say(
            "Note: without validation data, what is too strange for the model (predict --reject) is chosen on training "
            "pictures, and more new pictures than stated will be."
        )
    rejection = fit_rejection(Predictor(path), dataset.train, dataset.validation, seed)
    add_metadata(path, REJECTION_KEY, rejection.dump())
