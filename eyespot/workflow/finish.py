"""Finish a training: calibrate, and write the model for Keras and for ONNX Runtime into the run."""

from pathlib import Path

from eyespot.data.dataset import Dataset
from eyespot.evaluation.calibration import fit_temperature
from eyespot.evaluation.ood_fit import fit_rejection
from eyespot.files import replacing
from eyespot.inference.metadata import REJECTION_KEY, add_metadata, set_temperature
from eyespot.inference.predictor import Predictor
from eyespot.onnx_writer.write import write_onnx
from eyespot.output import Output
from eyespot.preprocessing.measure import measure_appearance
from eyespot.run import Run
from eyespot.workflow.prepare import PreparedTraining

ONNX_PROOF_PICTURES = 64


def write_models(run: Run, prepared: PreparedTraining, out: Output) -> float:
    """Writes `model.keras`, `weights.weights.h5` and `model.onnx`, and returns the temperature that calibrates.

    With the last goes all that predicting takes: class names, how images are brought to the model's size, what the
    training images look like, the temperature, and what tells images that are none of the classes.
    """
    with replacing(run.path / "model.keras") as path:
        prepared.model.save(path)
    with replacing(run.path / "weights.weights.h5") as path:
        prepared.model.save_weights(path)
    images = prepared.dataset.train.images
    names, resize = prepared.dataset.class_names, prepared.recipe.pictures.resize
    sample, appearance = images[:ONNX_PROOF_PICTURES], measure_appearance(images)
    write_onnx(prepared.model, run.path / "model.onnx", names, sample, resize=resize, appearance=appearance)
    predictor = run.predictor()  # one for both: neither logits nor features change with the temperature
    temperature = _calibrate(predictor, run.path / "model.onnx", prepared.dataset)
    _learn_to_reject(predictor, run.path / "model.onnx", prepared, out)
    return temperature


def _calibrate(predictor: Predictor, path: Path, dataset: Dataset) -> float:
    """On validation data alone: without any, or where the test data are it, probabilities stay the network's own."""
    if dataset.validation is None or dataset.validation is dataset.test:
        return 1.0
    logits, _ = predictor.logits_and_probabilities(dataset.validation.images)
    temperature = fit_temperature(logits, dataset.validation.labels)
    set_temperature(path, temperature)
    return temperature


def _learn_to_reject(predictor: Predictor, path: Path, prepared: PreparedTraining, out: Output) -> None:
    """Fits on training data and, for what is usual, on validation data."""
    dataset = prepared.dataset
    if dataset.validation is None:
        out.say(
            "Note: without validation data, what is too strange for the model (`reject` of `predict`) is chosen on "
            "training images, and more new images than stated will be."
        )
    rejection = fit_rejection(predictor, dataset.train, dataset.validation, prepared.recipe.training.seed)
    add_metadata(path, REJECTION_KEY, rejection.dump())
