"""compare: which of several runs is really better, by how much, and on which images."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from eyespot.data.dataset import Split
from eyespot.errors import DataError, RunError, UsageError
from eyespot.evaluation.statistics import holm, mcnemar
from eyespot.files import check_own, rewrite_text
from eyespot.inference.predictor import Predictor
from eyespot.reports.compare import ComparedRun, RunPair, comparison_page
from eyespot.reports.html import check_language
from eyespot.reports.shown_data import ShownData, shown_data
from eyespot.reports.summaries import comparison_summary
from eyespot.run import Run, RunLike, open_run
from eyespot.workflow.kept_images import kept_images, together
from eyespot.workflow.report import measured_split
from eyespot.workflow.run_data import StoredPredictions, pictures_of, read_predictions

TIMED, ROUNDS = 512, 5  # images; the median counts
TWO = 2


@dataclass(frozen=True)
class Comparison:
    """Result of `compare`.

    Attributes:
        judged: the split on which all were measured.
        runs: each with its figures, in the order given.
        pairs: each two of them, with the test that tells them apart.
        page: the page that shows it.
    """

    judged: str
    runs: tuple[ComparedRun, ...]
    pairs: tuple[RunPair, ...]
    page: Path

    def __repr__(self) -> str:
        accuracies = ", ".join(f"{run.name} {run.figures['accuracy']:.2%}" for run in self.runs)
        return f"<Comparison on the {self.judged} images: {accuracies}>"

    def _repr_html_(self) -> str:
        """Return the comparison as a notebook shows it."""
        return comparison_summary(self.judged, self.runs, self.pairs, str(self.page))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "judged": self.judged,
            "runs": [run.to_dict() for run in self.runs],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "page": str(self.page),
        }


def compare(runs: Sequence[RunLike], output: str | Path | None = None, language: str = "en") -> Comparison:
    """Compare runs on the test images that they have in common, and write a page.

    Each two are compared by McNemar's exact test, adjusted for how many pairs there are (Holm). It speaks of these
    models; whether one recipe is better than another takes several seeds of each (`eyespot study`).

    Args:
        runs: two or more, or their directories.
        output: the page; None: `compare.html` in the first run.
        language: `en` or `zh`.

    Raises:
        UsageError: there is no such language.
        RunError: there are fewer than two; or one is missing, half there, or was measured on other images; or what is
            at `output` is not by eyespot, or was changed.

    Example:
        >>> comparison = eyespot.compare(["runs/digits-cnn-1", "runs/digits-mlp-1"])
        >>> comparison.pairs[0].sentence()
    """
    page_language = check_language(language)
    opened = [open_run(run) for run in runs]
    if len({run.path.resolve() for run in opened}) < max(TWO, len(opened)):
        raise UsageError("Two runs or more are compared, each of them once.")
    page = Path(output) if output else opened[0].path / "compare.html"
    check_own(page)
    predictors = [run.predictor() for run in opened]
    split_name, names = _common_ground(opened, predictors)
    answers = [read_predictions(run, split_name, names) for run in opened]
    for run, answer in zip(opened, answers, strict=True):
        if not np.array_equal(answer.labels, answers[0].labels):
            raise RunError(f"{run.path} was measured on other {split_name} images than {opened[0].path}.")
    shown = _images(opened, split_name, names)
    speeds = _speeds(predictors, shown.judged) if shown and shown.judged else [None] * len(opened)
    compared = tuple(
        ComparedRun(
            name=name,
            path=str(run.path),
            metrics=run.metrics,
            judged=split_name,
            history=run.history,
            size=run.file("model.onnx").stat().st_size,
            speed=speed,
            predictions=answer.predictions,
            probabilities=answer.probabilities,
        )
        for name, run, speed, answer in zip(_titles(opened), opened, speeds, answers, strict=True)
    )
    pairs = _pairs(opened, compared, answers)
    page.parent.mkdir(parents=True, exist_ok=True)
    rewrite_text(page, comparison_page(compared, pairs, answers[0].labels, names, shown, page_language))
    return Comparison(split_name, compared, pairs, page)


def _common_ground(runs: Sequence[Run], predictors: Sequence[Predictor]) -> tuple[str, tuple[str, ...]]:
    """The split by which all can be judged, and the class names that all have."""
    first_run = runs[0]
    split_name, names = measured_split(first_run), predictors[0].class_names
    for run, predictor in zip(runs[1:], predictors[1:], strict=True):
        if predictor.class_names != names:
            raise RunError(f"{run.path} knows other classes than {first_run.path}: they cannot be compared.")
        if measured_split(run) != split_name or run.environment.get("dataset_sha256") != first_run.environment.get(
            "dataset_sha256"
        ):
            raise RunError(
                f"{run.path} was measured on other images than {first_run.path}: evaluate both on the same ones, and "
                "compare what that prints."
            )
    return split_name, names


def _images(runs: Sequence[Run], split_name: str, names: tuple[str, ...]) -> ShownData | None:
    """The images to show: those that the runs keep, or, where these are not all, those of the dataset."""
    kept = [each for run in runs if (each := kept_images(run, split_name, names))]
    if len(kept) == len(runs) and all(each.is_complete for each in kept):
        return together(kept)
    try:
        dataset, changed = pictures_of(runs[0])
    except DataError:
        changed = ["The dataset is not available."]
    if changed:
        return together(kept) if kept else None
    return shown_data(dataset, split_name)


def _speeds(predictors: Sequence[Predictor], split: Split) -> list[float]:
    """Pictures a second, taken in turns so that what else the machine does falls on all alike."""
    images, seconds = np.asarray(split.images[:TIMED]), [list[float]() for _ in predictors]
    for _ in range(1 + ROUNDS):
        for predictor, durations in zip(predictors, seconds, strict=True):
            started = time.perf_counter()
            predictor.probabilities(images)
            durations.append(time.perf_counter() - started)
    return [len(images) / median(durations[1:]) for durations in seconds]  # the first one warms up


def _titles(runs: Sequence[Run]) -> list[str]:
    """Names of directories; whole paths where two of them are the same."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _pairs(
    runs: Sequence[Run], compared: Sequence[ComparedRun], answers: Sequence[StoredPredictions]
) -> tuple[RunPair, ...]:
    indices = list(combinations(range(len(runs)), 2))
    tests = [mcnemar(answers[a].right, answers[b].right) for a, b in indices]
    adjusted = holm([test.p_value for test in tests])
    return tuple(
        RunPair(
            compared[a],
            compared[b],
            test,
            p_value,
            runs[a].recipe.differences_to(runs[b].recipe),
            np.flatnonzero(answers[a].right & ~answers[b].right),
            np.flatnonzero(answers[b].right & ~answers[a].right),
        )
        for (a, b), test, p_value in zip(indices, tests, adjusted, strict=True)
    )
