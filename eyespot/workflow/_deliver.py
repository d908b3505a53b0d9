"""What a training leaves in its run once it has ended: the model, for Keras and for those who only predict."""

from pathlib import Path

from eyespot.data.dataset import Dataset
from eyespot.data.photograph.measure import measure_appearance
from eyespot.evaluation.calibration import fit_temperature
from eyespot.evaluation.rejection import fit_rejection
from eyespot.exporting.metadata import add_metadata, set_temperature
from eyespot.exporting.onnx import write_onnx
from eyespot.files import replacing
from eyespot.inference.predictor import APPEARANCE_KEY, RESIZE_KEY, Predictor
from eyespot.inference.rejection import REJECTION_KEY
from eyespot.output import Output
from eyespot.run import Run
from eyespot.workflow._prepare import Prepared

ONNX_PROOF_PICTURES = 64


def deliver(run: Run, prepared: Prepared, out: Output) -> float:
    """Writes `model.keras`, `weights.weights.h5` and `model.onnx`, and returns the temperature that calibrates.

    With the last goes all that predicting takes: class names, how pictures are brought to the model's size, what the
    training pictures look like, the temperature, and what tells pictures that are none of the classes.
    """
    with replacing(run.path / "model.keras") as path:
        prepared.model.save(path)
    with replacing(run.path / "weights.weights.h5") as path:
        prepared.model.save_weights(path)
    images = prepared.dataset.train.images
    extra = {RESIZE_KEY: prepared.recipe.pictures.resize, APPEARANCE_KEY: measure_appearance(images).to_dict()}
    names = prepared.dataset.class_names
    write_onnx(prepared.model, run.path / "model.onnx", names, images[:ONNX_PROOF_PICTURES], extra)
    temperature = _calibrate(run.path / "model.onnx", prepared.dataset)
    _learn_to_reject(run, prepared, out)
    return temperature


def _calibrate(path: Path, dataset: Dataset) -> float:
    """On validation data alone: without any, or where the test data are it, probabilities stay the network's own."""
    if dataset.validation is None or dataset.validation is dataset.test:
        return 1.0
    logits, _ = Predictor(path).logits_and_probabilities(dataset.validation.images)
    temperature = fit_temperature(logits, dataset.validation.labels)
    set_temperature(path, temperature)
    return temperature


def _learn_to_reject(run: Run, prepared: Prepared, out: Output) -> None:
    """Fits on training data and, for what is usual, on validation data."""
    dataset, path = prepared.dataset, run.path / "model.onnx"
    if dataset.validation is None:
        out.say(
            "Note: without validation data, what is too strange for the model (predict --reject) is chosen on training "
            "pictures, and more new pictures than stated will be."
        )
    rejection = fit_rejection(Predictor(path), dataset.train, dataset.validation, prepared.recipe.training.seed)
    add_metadata(path, REJECTION_KEY, rejection.dump())
