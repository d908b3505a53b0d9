"""What a training leaves in its run once it has ended: the model, for Keras and for those who only predict."""

from eyespot.data.photograph.measure import measure_appearance
from eyespot.evaluation.rejection import fit_rejection
from eyespot.export.metadata import add_metadata
from eyespot.export.onnx import write_onnx
from eyespot.files import replacing
from eyespot.inference.predictor import APPEARANCE_KEY, RESIZE_KEY, Predictor
from eyespot.inference.rejection import REJECTION_KEY
from eyespot.output import Output
from eyespot.run import Run
from eyespot.workflow._prepare import Prepared

ONNX_PROOF_PICTURES = 64


def deliver(run: Run, prepared: Prepared, out: Output) -> None:
    """Writes `model.keras`, `weights.weights.h5` and `model.onnx`.

    With the last goes all that predicting takes: class names, how pictures are brought to the model's size, what the
    training pictures look like, and what tells those that are none of them.
    """
    with replacing(run.path / "model.keras") as path:
        prepared.model.save(path)
    with replacing(run.path / "weights.weights.h5") as path:
        prepared.model.save_weights(path)
    images = prepared.dataset.train.images
    extra = {RESIZE_KEY: prepared.recipe.pictures.resize, APPEARANCE_KEY: measure_appearance(images).to_dict()}
    names = prepared.dataset.class_names
    write_onnx(prepared.model, run.path / "model.onnx", names, images[:ONNX_PROOF_PICTURES], extra)
    _learn_to_reject(run, prepared, out)


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
