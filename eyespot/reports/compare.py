"""The comparison of several runs: their figures, the significance of differences, and the images that differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eyespot.data.pixels import data_uri
from eyespot.evaluation.statistics import SIGNIFICANT, Mcnemar
from eyespot.figures.curves import curves_as_svg, curves_together
from eyespot.reports.confusion import picture_name
from eyespot.reports.html import Language, render, translator
from eyespot.reports.shown_data import ShownData
from eyespot.shapes import Float32, Int64
from eyespot.training.history import History
from eyespot.training.verdict import Verdict

SHOWN = 16  # images that only one of two predicts correctly


@dataclass(frozen=True)
class ComparedRun:
    """One run.

    Attributes:
        name: differs from the others' names.
        metrics: as the run has them; `judged` names the split that the runs are judged by.
        size: of `model.onnx`, in bytes.
        speed: images per second; None where there were no images to measure it on.
        predictions, probabilities: of the judged split.
    """

    name: str
    path: str
    metrics: dict[str, Any] = field(repr=False)
    judged: str
    history: History = field(repr=False)
    size: int
    speed: float | None
    predictions: Int64[np.ndarray, " n"] = field(repr=False)
    probabilities: Float32[np.ndarray, "n classes"] = field(repr=False)

    @property
    def figures(self) -> dict[str, Any]:
        """The figures on the judged split."""
        metrics: dict[str, Any] = self.metrics[self.judged]
        return metrics

    @property
    def verdict(self) -> Verdict:
        """The verdict on its fit."""
        return Verdict.from_dict(self.metrics["verdict"])

    @property
    def seconds(self) -> float | None:
        """Median seconds per epoch of the training."""
        durations = sorted(self.history.column("seconds"))
        return durations[len(durations) // 2] if durations else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = self.figures
        return {
            "run": self.path,
            "accuracy": figures["accuracy"],
            "accuracy_interval": list(figures["accuracy_interval"]),
            "macro_f1": figures["report"]["macro avg"]["f1-score"],
            "macro_f1_interval": list(figures["macro_f1_interval"]),
            "loss": figures["loss"],
            "ece": figures["calibration"]["ece"],
            "nll": figures["calibration"]["nll"],
            "verdict": self.verdict.of_kept_model,
            "parameters": self.metrics["parameters"],
            "bytes": self.size,
            "pictures_per_second": self.speed,
            "seconds_per_epoch": self.seconds,
        }


@dataclass(frozen=True)
class RunPair:
    """Two runs on the same images.

    Attributes:
        test: McNemar's.
        p_adjusted: its p-value, adjusted for all pairs that are compared.
        differences: of the second's recipe from the first's, in words.
        only_first, only_second: rows that only one of them predicts correctly.
    """

    first: ComparedRun
    second: ComparedRun
    test: Mcnemar
    p_adjusted: float
    differences: list[str]
    only_first: Int64[np.ndarray, " a"] = field(repr=False)
    only_second: Int64[np.ndarray, " b"] = field(repr=False)

    @property
    def is_significant(self) -> bool:
        """Whether the difference is significant at the 5 % level."""
        return self.p_adjusted < SIGNIFICANT

    def sentence(self, words: Callable[..., str] = lambda text, **values: text.format(**values)) -> str:
        """The result of the test in a sentence."""
        better, worse, only_better, only_worse = self.second, self.first, self.test.only_second, self.test.only_first
        if only_better < only_worse:
            better, worse, only_better, only_worse = worse, better, only_worse, only_better
        values = {
            "better": better.name, "worse": worse.name, "n": f"{self.test.n:,}",
            "high": f"{better.figures['accuracy']:.2%}", "low": f"{worse.figures['accuracy']:.2%}",
            "points": f"{100 * abs(self.test.difference):.2f}", "only_better": f"{only_better:,}",
            "only_worse": f"{only_worse:,}", "p": p_value_text(self.p_adjusted),
        }  # fmt: skip
        if self.is_significant:
            return words(
                "{better} is better than {worse}: accuracy {high} against {low} on {n} images, {points} points more. "
                "{better} alone is right on {only_better} images, {worse} alone on {only_worse} (exact McNemar test, "
                "{p}).",
                **values,
            )
        return words(
            "No significant difference between {better} and {worse}: accuracy {high} against {low} on {n} images. "
            "{better} alone is right on {only_better} images, {worse} alone on {only_worse} (exact McNemar test, {p}).",
            **values,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "first": self.first.path,
            "second": self.second.path,
            "only_first": self.test.only_first,
            "only_second": self.test.only_second,
            "difference": self.test.difference,
            "p_value": self.test.p_value,
            "p_adjusted": self.p_adjusted,
            "significant": self.is_significant,
            "recipe": self.differences,
            "sentence": self.sentence(),
        }


def comparison_page(  # noqa: PLR0913, PLR0917 - what a page holds
    compared: Sequence[ComparedRun],
    pairs: Sequence[RunPair],
    labels: Int64[np.ndarray, " n"],
    class_names: tuple[str, ...],
    shown: ShownData | None,
    language: Language = "en",
) -> str:
    """The page, as HTML.

    Args:
        labels: of the judged split.
        shown: its images, or some of them; None: none are shown.
    """
    words = translator(language)
    return render(
        "compare.html.j2",
        language,
        compared=compared,
        pairs=[
            {
                "pair": pair,
                "sentence": pair.sentence(words),
                "only_first": _shown(pair.only_first, pair, labels, class_names, shown),
                "only_second": _shown(pair.only_second, pair, labels, class_names, shown),
            }
            for pair in pairs
        ],
        curves=_curves(compared, words),
        recalls=_recalls(compared, class_names),
    )


def p_value_text(p_value: float) -> str:
    """A p-value as text, as in `p = 0.012`; a very small one as a limit."""
    smallest = 1e-4
    return f"p < {smallest:.4f}" if p_value < smallest else f"p = {p_value:.4f}"


def _shown(
    rows: Int64[np.ndarray, " m"],
    pair: RunPair,
    labels: Int64[np.ndarray, " n"],
    class_names: tuple[str, ...],
    shown: ShownData | None,
) -> list[dict[str, Any]]:
    """Images that only one run predicts correctly, the most confident predictions first."""
    if shown is None or shown.judged is None:
        return []
    split, places = shown.judged, {row: place for place, row in enumerate(shown.rows.tolist())}
    rows = rows[np.isin(rows, shown.rows)]
    first, second = pair.first, pair.second
    confidence = np.maximum(first.probabilities[rows].max(axis=1), second.probabilities[rows].max(axis=1))
    return [
        {
            "picture": data_uri(split.images[places[row]]),
            "name": picture_name(split, places[row]),
            "label": class_names[labels[row]],
            "answers": [
                (run.name, class_names[run.predictions[row]], float(run.probabilities[row].max()))
                for run in (first, second)
            ],
        }
        for row in rows[np.argsort(-confidence, kind="stable")][:SHOWN].tolist()
    ]


def _curves(compared: Sequence[ComparedRun], words: Callable[..., str]) -> list[Any]:
    trainings = {run.name: (run.history, run.verdict.of_kept_model) for run in compared}

    def translated(text: str) -> str:
        return text if text in trainings else words(text)  # a run may be called `test`

    return list(curves_as_svg(lambda metric: curves_together(trainings, metric), translated))


def _recalls(compared: Sequence[ComparedRun], class_names: tuple[str, ...]) -> list[tuple[str, list[float]]]:
    """Recall of each class by run, in order of the largest difference."""
    rows = [(name, [run.figures["report"]["classes"][name]["recall"] for run in compared]) for name in class_names]
    return sorted(rows, key=lambda row: min(row[1]) - max(row[1]))
