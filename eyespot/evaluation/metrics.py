"""What a classifier's probabilities are worth on labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from sklearn.metrics import classification_report, confusion_matrix

from eyespot.evaluation.calibration import Calibration, calibration
from eyespot.evaluation.statistics import macro_f1_interval, wilson
from eyespot.shapes import Float32, Float64, Int64

MOST_SHOWN = 12  # classes of a confusion matrix in a notebook
SHORT = 16  # letters of a class name above and beside it
FEW = 5  # mistakes in a notebook
CLIP = 1e-7  # Keras's epsilon: a certain mistake costs 16.1, not infinity


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model on one split.

    Attributes:
        n: images.
        loss: mean cross-entropy before calibration, as Keras computes it (clipped to [1e-7, 1 - 1e-7]).
        accuracy: the fraction whose most probable class is the label.
        accuracy_interval: its 95 % Wilson interval.
        correct, incorrect: images; they add up to `n`.
        correct_after_rounding: how many would count as right if probabilities were rounded before `argmax`, a mistake
            seen in tutorials: a row without a probability above one half rounds to zeros, and counts as class 0.
        report: scikit-learn's classification report: precision, recall, f1-score and support of each class under
            `classes` (apart, since a class may be called `accuracy`), then `accuracy`, `macro avg` and `weighted avg`.
        macro_f1_interval: the 95 % bootstrap interval of the macro average's f1-score.
        confusion: images by label (row) and prediction (column).
        most_confused: the largest cells off the diagonal.
        calibration: of the probabilities that every command gives.
        before_calibration: of those that the network gives, at temperature 1.
    """

    n: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    correct: int
    incorrect: int
    correct_after_rounding: int
    report: dict[str, Any] = field(repr=False)
    macro_f1_interval: tuple[float, float]
    confusion: list[list[int]] = field(repr=False)
    most_confused: list[dict[str, Any]] = field(repr=False)
    calibration: Calibration = field(repr=False)
    before_calibration: Calibration = field(repr=False)

    def _repr_html_(self) -> str:
        """Return the figures as a notebook shows them."""
        from eyespot.notebook import card

        return card("Evaluation", f"of {self.n:,} images", parts_for_notebook(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def parts_for_notebook(figures: Mapping[str, Any]) -> list[Markup | None]:
    """Accuracy with its interval, the confusion matrix or the most frequent mistakes, and the figures of each class.

    Args:
        figures: as `Evaluation.to_dict` has them, of this version or of another.
    """
    from eyespot.notebook import clipped, folded, interval, percent, table
    from eyespot.notebook import figures as large

    classes, n = figures["report"]["classes"], f"{figures['n']:,}"
    accuracy = f"accuracy on {n} images, 95 % interval {interval(figures['accuracy_interval'])}"
    headline = [(percent(figures["accuracy"]), accuracy), (f"{figures['loss']:.4f}", "loss")]
    if "calibration" in figures:
        headline.append((percent(figures["calibration"]["ece"]), "expected calibration error"))
    short = [clipped(name, SHORT) for name in classes]
    matrix = [[name, *(count or "" for count in row)] for name, row in zip(short, figures["confusion"], strict=True)]
    pairs = [(pair["label"], pair["predict"], f"{pair['pictures']:,}") for pair in figures["most_confused"]]
    names = ("precision", "recall", "f1-score")
    rows = [(name, *(f"{row[key]:.4f}" for key in names), f"{row['support']:,.0f}") for name, row in classes.items()]
    return [
        large(headline),
        table(("label \\ prediction", *short), matrix) if len(classes) <= MOST_SHOWN else None,
        table(("label of mistakes", "prediction", "images"), pairs[:FEW], text_columns=2),
        folded("Figures of each class", table(("class", *names, "images"), rows)),
    ]


def evaluate_probabilities(
    probabilities: Float32[np.ndarray, "n classes"],
    labels: Int64[np.ndarray, " n"],
    class_names: tuple[str, ...],
    calibrated: Float32[np.ndarray, "n classes"] | None = None,
) -> Evaluation:
    """Computes the figures; predictions are the `argmax` of the probabilities.

    Args:
        probabilities: as the network gives them, at temperature 1.
        calibrated: the same at its own temperature; None: there is no other.
    """
    predictions = probabilities.argmax(axis=1)
    correct = int((predictions == labels).sum())
    every_class = np.arange(len(class_names))
    confusion = confusion_matrix(labels, predictions, labels=every_class)
    report = classification_report(labels, predictions, labels=every_class, output_dict=True, zero_division=0)
    by_class = {name: report.pop(str(index)) for index, name in enumerate(class_names)}
    return Evaluation(
        n=len(labels),
        loss=float(cross_entropies(probabilities, labels).mean()),
        accuracy=correct / len(labels),
        accuracy_interval=wilson(correct, len(labels)),
        correct=correct,
        incorrect=len(labels) - correct,
        correct_after_rounding=int((np.round(probabilities).argmax(axis=1) == labels).sum()),
        report={"classes": by_class, **report},
        macro_f1_interval=macro_f1_interval(confusion),
        confusion=confusion.tolist(),
        most_confused=_most_confused(confusion, class_names),
        calibration=calibration(probabilities if calibrated is None else calibrated, labels),
        before_calibration=calibration(probabilities, labels),
    )


def compared_with_guessing(figures: Mapping[str, Any], class_names: Sequence[str]) -> list[str]:
    """Sentences where a classifier is not better, beyond chance, than one that always predicts the same class.

    Args:
        figures: as `Evaluation.to_dict` has them, of this version or of another.
    """
    confusion = np.array(figures["confusion"])
    by_label, by_prediction = confusion.sum(axis=1), confusion.sum(axis=0)
    most, predicted = int(by_label.argmax()), np.flatnonzero(by_prediction)
    share = by_label[most] / by_label.sum()
    if figures["accuracy_interval"][0] > share:
        return []
    always = f"always predicting {class_names[most]!r}, which is right on {share:.2%} of the images"
    constant = [f"Every image is predicted as {class_names[predicted[0]]!r}."] if len(predicted) == 1 else []
    return [f"Not significantly better than {always}.", *constant]


def cross_entropies(
    probabilities: Float32[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Each image's cross-entropy, in nats."""
    label_probabilities: Float64[np.ndarray, " n"] = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    clipped: Float64[np.ndarray, " n"] = np.clip(label_probabilities, CLIP, 1 - CLIP)
    entropies: Float64[np.ndarray, " n"] = -np.log(clipped)
    return entropies


def _most_confused(
    confusion: Int64[np.ndarray, "k k"], class_names: tuple[str, ...], top: int = 10
) -> list[dict[str, Any]]:
    """The most frequent mistakes: which label was taken for which class, and how often."""
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(mistakes, axis=None, kind="stable")[::-1][:top]
    pairs = [tuple(int(index) for index in np.unravel_index(cell, mistakes.shape)) for cell in order]
    return [
        {"label": class_names[row], "predict": class_names[column], "pictures": int(mistakes[row, column])}
        for row, column in pairs
        if mistakes[row, column]
    ]
