"""Finish a training: calibrate, measure, and write the model for Keras and for ONNX Runtime into the run."""

from pathlib import Path

from scipy.special import softmax

from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation.calibration import fit_temperature
from eyespot.evaluation.metrics import Evaluation, evaluate_probabilities
from eyespot.evaluation.ood_fit import fit_rejection
from eyespot.figures import results
from eyespot.figures.style import save
from eyespot.files import replacing
from eyespot.inference.metadata import REJECTION_KEY, add_metadata, set_temperature
from eyespot.inference.predictor import Predictor
from eyespot.onnx_writer.write import write_onnx
from eyespot.output import Output
from eyespot.preprocessing.measure import measure_appearance
from eyespot.run import Run
from eyespot.workflow.prepare import PreparedTraining
from eyespot.workflow.run_data import StoredPredictions, write_predictions

FIGURES = ("confusion", "right", "wrong")
ONNX_PROOF_PICTURES = 64


def measure_split(run: Run, predictor: Predictor, split: Split, name: str, folder: str = "") -> Evaluation:
    """Predicts a split with the run's ONNX model, and writes predictions and figures below `folder` of the run."""
    names = predictor.class_names
    logits, probabilities = predictor.logits_and_probabilities(split.images)
    evaluation = evaluate_probabilities(softmax(logits, axis=1), split.labels, names, probabilities)
    write_predictions(run, name, StoredPredictions(split.labels, probabilities), names, folder)
    right_rows, wrong_rows = results.right_rows(split, probabilities), results.wrong_rows(split, probabilities)
    title = f"{run.name}, {name}: {evaluation.accuracy:.2%} of {evaluation.n:,} right"
    figures = (
        results.confusion_matrix(evaluation, names, title),
        results.gallery(
            split, probabilities, right_rows, names, f"{run.name}, {name}: {len(right_rows):,} right, at random"
        ),
        results.gallery(
            split, probabilities, wrong_rows, names, f"{run.name}, {name}: {len(wrong_rows):,} wrong, surest first"
        ),
    )
    for kind, figure in zip(FIGURES, figures, strict=True):
        save(figure, run.path / folder / "figures" / f"{kind}-{name}.png")
    return evaluation


def write_models(run: Run, prepared: PreparedTraining, out: Output) -> float:
    """Writes `model.keras`, `weights.weights.h5` and `model.onnx`, and returns the temperature that calibrates.

    With the last goes all that predicting takes: class names, how pictures are brought to the model's size, what the
    training pictures look like, the temperature, and what tells pictures that are none of the classes.
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
            "training pictures, and more new pictures than stated will be."
        )
    rejection = fit_rejection(predictor, dataset.train, dataset.validation, prepared.recipe.training.seed)
    add_metadata(path, REJECTION_KEY, rejection.dump())
