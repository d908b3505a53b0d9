"""evaluate: measure a run's model on labelled images."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from eyespot.data.dataset import Split
from eyespot.data.load import Source
from eyespot.errors import DataError, RunError
from eyespot.evaluation.metrics import Evaluation, compared_with_guessing, evaluate_probabilities
from eyespot.figures import results
from eyespot.figures.style import save
from eyespot.inference.predictor import Predictor
from eyespot.reports.summaries import evaluation_summary
from eyespot.run import Run, RunLike, open_run
from eyespot.workflow.card import judged_split
from eyespot.workflow.kept_images import keep_images
from eyespot.workflow.run_data import (
    FILE,
    StoredPredictions,
    mistakes_file,
    pictures_of,
    read_predictions,
    write_mistakes,
    write_predictions,
)

FIGURES = ("confusion", "right", "wrong")
ROUNDED_IN_PRINT = ("fashion-cnn", "fashion-cnn-dropout")  # the tutorial of these two rounds before argmax

TINY = np.finfo(np.float32).tiny  # a probability of 0 has no logarithm


@dataclass(frozen=True, kw_only=True)
class EvaluationResult(Evaluation):
    """Result of `evaluate`: the figures, and what they are of.

    Attributes:
        run: the model's run.
        on: which images: a split's name, or another source's.
        class_names: one a class.
        figures: the figures drawn.
        mistakes_csv: a list of the wrong predictions, the most confident first; None where the run has none.
        notes: what a reader should know besides.
    """

    run: Run
    on: str
    class_names: tuple[str, ...] = field(repr=False)
    figures: list[Path] = field(repr=False)
    mistakes_csv: Path | None = field(repr=False)
    notes: list[str]

    def _repr_html_(self) -> str:
        """Return the figures as a notebook shows them."""
        return evaluation_summary(self.run.name, self.on, self.to_dict(), self.figures, self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        measured = Evaluation(**{field.name: getattr(self, field.name) for field in fields(Evaluation)})
        figures = [str(path) for path in self.figures]
        return {
            "run": str(self.run.path),
            "on": self.on,
            **measured.to_dict(),
            "figures": figures,
            "mistakes_csv": str(self.mistakes_csv) if self.mistakes_csv else None,
            "notes": self.notes,
        }


def evaluate(run: RunLike, on: Source | None = None) -> EvaluationResult:
    """Measure a run's model on labelled images, and draw what it gets right and wrong.

    Args:
        run: a run, or its directory.
        on: None: the test data of the run's own dataset (its validation data where it has no test data); else another
            source with the same classes, whose test split, or all it has, is taken. Where the run's own dataset is not
            at hand, the figures are those of the predictions that the run keeps, and a note says so.

    Raises:
        RunError: the run is missing or half there.
        DataError: the dataset is missing and the run keeps no predictions; or the source has other classes.

    Example:
        >>> evaluation = eyespot.evaluate("runs/digits-cnn-1")
        >>> evaluation.accuracy, evaluation.accuracy_interval
    """
    opened = open_run(run)
    try:
        recipe, dataset, notes = opened.recipe, *pictures_of(opened, on)
    except DataError as error:
        if on is not None:
            raise
        return _from_predictions(opened, error)
    name, pictures = next((n, s) for n, s in reversed(dataset.splits.items()))
    if on is None and name != "test":
        notes.append(f"{dataset.name} has no test data: these are the {name} images, which the training has used.")
    folder = "" if on is None else f"evaluations/{dataset.name}/"
    evaluation = measure_split(opened, opened.predictor(), pictures, name, folder)
    if on is None:
        opened.write_json("metrics.json", opened.metrics | {name: evaluation.to_dict()})
        keep_images(opened, dataset, name)
    else:
        opened.write_json(f"{folder}metrics.json", {name: evaluation.to_dict()})
    if (recipe.model.name or recipe.name) in ROUNDED_IN_PRINT and name == "test":
        notes.append(
            "Predictions are the argmax of the probabilities. The tutorial rounds them before argmax, which sends "
            "every image without a class above one half to class 0: that way "
            f"{evaluation.correct_after_rounding:,} would count as right instead of {evaluation.correct:,} "
            "(there: 9,188 instead of 9,230)."
        )
    notes += compared_with_guessing(evaluation.to_dict(), dataset.class_names)
    figures = [opened.path / folder / "figures" / f"{kind}-{name}.png" for kind in FIGURES]
    measured_on = name if on is None else f"{dataset.name} ({name})"
    return EvaluationResult(
        **vars(evaluation),
        run=opened,
        on=measured_on,
        class_names=dataset.class_names,
        figures=figures,
        mistakes_csv=mistakes_file(opened, name, folder),
        notes=notes,
    )


def measure_split(run: Run, predictor: Predictor, split: Split, name: str, folder: str = "") -> Evaluation:
    """Predicts a split with the run's ONNX model, and writes predictions and figures below `folder` of the run."""
    names = predictor.class_names
    logits, probabilities = predictor.logits_and_probabilities(split.images)
    evaluation = evaluate_probabilities(softmax(logits, axis=1), split.labels, names, probabilities)
    answers = StoredPredictions(split.labels, probabilities)
    write_predictions(run, name, answers, names, folder)
    right_rows, wrong_rows = results.right_rows(split, probabilities), results.wrong_rows(split, probabilities)
    write_mistakes(mistakes_file(run, name, folder), wrong_rows, split, answers, names)
    of_split = f"{run.name}, {name}:"
    title = f"{of_split} accuracy {evaluation.accuracy:.2%} on {evaluation.n:,} images"
    right_title = f"{of_split} {len(right_rows):,} correct predictions, at random"
    wrong_title = f"{of_split} {len(wrong_rows):,} mistakes, most confident first"
    figures = (
        results.confusion_matrix(evaluation, names, title),
        results.gallery(split, probabilities, right_rows, names, right_title),
        results.gallery(split, probabilities, wrong_rows, names, wrong_title),
    )
    for kind, figure in zip(FIGURES, figures, strict=True):
        save(figure, run.path / folder / "figures" / f"{kind}-{name}.png")
    return evaluation


def _from_predictions(run: Run, missing: DataError) -> EvaluationResult:
    """Measures the predictions that a run keeps; nothing is drawn, and figures that the run has are not written again.

    Raises:
        DataError: `missing`, where the run keeps no predictions.
    """
    name, predictor = judged_split(run.metrics), run.predictor()
    if name is None:
        raise missing
    try:
        stored = read_predictions(run, name, predictor.class_names)
    except RunError:
        raise missing from None
    # The network's own probabilities: softmax(logits), where the stored ones are softmax(logits / temperature).
    logits = run.metrics.get("temperature", 1.0) * np.log(np.maximum(stored.probabilities, TINY))
    own = softmax(logits, axis=1).astype(np.float32)
    evaluation = evaluate_probabilities(own, stored.labels, predictor.class_names, stored.probabilities)
    if "calibration" not in run.metrics[name]:
        run.write_json("metrics.json", run.metrics | {name: evaluation.to_dict()})
    note = (
        f"The dataset {run.recipe.dataset} is not available. These are the figures of the predictions on its {name} "
        f"images that the run keeps in {FILE}."
    )
    drawn = (run.path / "figures" / f"{kind}-{name}.png" for kind in FIGURES)
    figures = [path for path in drawn if path.exists()]
    listed = mistakes_file(run, name)
    return EvaluationResult(
        **vars(evaluation),
        run=run,
        on=name,
        class_names=predictor.class_names,
        figures=figures,
        mistakes_csv=listed if listed.exists() else None,
        notes=[note],
    )
