"""One model on one split: predictions, figures and pictures, written into the run."""

from scipy.special import softmax

from eyespot.data.dataset import Split
from eyespot.evaluation.metrics import Evaluation, evaluate_probabilities
from eyespot.reporting import results
from eyespot.reporting.style import save
from eyespot.run import Run
from eyespot.workflow._predictions import Answers, write_answers

FIGURES = ("confusion", "right", "wrong")


def judge(run: Run, split: Split, name: str, folder: str = "") -> Evaluation:
    """Predicts a split with the run's ONNX model, and writes predictions and figures below `folder` of the run."""
    predictor = run.predictor()
    names = predictor.class_names
    logits, probabilities = predictor.logits_and_probabilities(split.images)
    evaluation = evaluate_probabilities(softmax(logits, axis=1), split.labels, names, probabilities)
    write_answers(run, name, Answers(split.labels, probabilities), names, folder)
    right, wrong = results.right_rows(split, probabilities), results.wrong_rows(split, probabilities)
    told = f"{run.name}, {name}: {evaluation.accuracy:.2%} of {evaluation.n:,} right"
    drawn = (
        results.confusion_matrix(evaluation, names, told),
        results.gallery(split, probabilities, right, names, f"{run.name}, {name}: {len(right):,} right, at random"),
        results.gallery(split, probabilities, wrong, names, f"{run.name}, {name}: {len(wrong):,} wrong, surest first"),
    )
    for kind, figure in zip(FIGURES, drawn, strict=True):
        save(figure, run.path / folder / "figures" / f"{kind}-{name}.png")
    return evaluation
