"""report: one page on how good a run's classifier is, how certain that is, and which mistakes it makes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from eyespot.backend import keras
from eyespot.data.dataset import Split
from eyespot.errors import DataError, ModelError, RunError, counted
from eyespot.explanation.maps import CAMS, MAP_METHODS, explain_images
from eyespot.figures.results import wrong_rows
from eyespot.files import check_own, rewrite_text
from eyespot.models.cost import layer_costs, multiply_adds
from eyespot.notebook import card, link, notes
from eyespot.output import console_for
from eyespot.progress_bars import progress_bars
from eyespot.reports.html import check_language
from eyespot.reports.report import ExplainedMistakes, ReportFacts, report_page
from eyespot.reports.shown_data import ShownData, shown_data
from eyespot.run import Run, RunLike, open_run
from eyespot.shapes import Float32
from eyespot.workflow.card import CARD, card_facts, card_text, check_card, judged_split
from eyespot.workflow.evaluate import evaluate
from eyespot.workflow.kept_images import kept_images
from eyespot.workflow.run_data import pictures_of, read_predictions

EXPLAINED = 6  # mistakes
LARGE = 100_000_000  # multiply-adds for an image, of which occlusion and integrated gradients take hundreds
LEFT_OUT = "Occlusion and integrated gradients take minutes for a model of this size; eyespot explain draws them."
KEPT_ARE_SHOWN = "The dataset is not available. The images that the run keeps are shown."
NONE_ARE_SHOWN = "The dataset is not available, and the run keeps no images: none are shown."
DELIVERED = ("model.keras", "model.onnx", "weights.weights.h5")


@dataclass(frozen=True)
class ReportResult:
    """Result of `report`.

    Attributes:
        page: the report.
        card: the model card, as Markdown.
        notes: what a reader should know; they are in the page.
    """

    run: Run
    page: Path
    card: Path
    notes: list[str]

    def _repr_html_(self) -> str:
        """Return where the report is, as a notebook shows it."""
        parts = [link(self.page), link(self.card), notes(self.notes)]
        return card(f"Report of {self.run.name}", "a page to open, and a model card", parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        size = self.page.stat().st_size
        values = {"report": str(self.page), "bytes": size, "model_card": str(self.card), "notes": self.notes}
        return {"run": str(self.run.path), **values}


def report(run: RunLike, output: str | Path | None = None, language: str = "en", *, verbose: int = 1) -> ReportResult:
    """Write a run's report: one HTML file that opens from disk and asks nothing of any network.

    Beside it goes `model-card.md`. The next call writes both again, unless somebody has changed them. Nothing is
    measured that the run has measured already; a run of an earlier eyespot is evaluated anew.

    Args:
        run: a run, or its directory.
        output: the file; None: `report.html` in the run.
        language: `en` or `zh`.
        verbose: 0 prints nothing, 1 shows progress on a terminal.

    Raises:
        RunError: the run is missing or half there, or has neither test nor validation data.
        RunError: what is at the page's or the card's place is not by eyespot, or was changed.
        UsageError: there is no such language.

    Example:
        >>> eyespot.report("runs/digits-cnn-1").page
    """
    page_language = check_language(language)
    opened = open_run(run)
    page = Path(output) if output else opened.path / "report.html"
    model_card = page.with_name(CARD)
    check_own(page)
    check_card(model_card, opened)
    facts = report_facts(opened, console_for(verbose))
    page.parent.mkdir(parents=True, exist_ok=True)
    rewrite_text(page, report_page(facts, page_language))
    rewrite_text(model_card, card_text(facts, page_language))
    return ReportResult(opened, page, model_card, list(facts.notes))


def report_facts(run: Run, console: Console) -> ReportFacts:
    """All that a report of a run rests on; raises as `report` does.

    Args:
        console: where progress is shown.
    """
    split_name = measured_split(run)
    kept = kept_images(run, split_name, run.predictor().class_names)
    if kept and kept.is_complete:
        return gather_results(run, kept, [], console)
    try:
        dataset, changed = pictures_of(run)
    except DataError:
        return gather_results(run, kept, [KEPT_ARE_SHOWN if kept else NONE_ARE_SHOWN], console)
    if changed:  # these are not the images that it was measured on
        return gather_results(run, kept, [] if kept else changed, console)
    return gather_results(run, shown_data(dataset, split_name), [], console)


def gather_results(run: Run, data: ShownData | None, notes: list[str], console: Console) -> ReportFacts:
    """The facts of a run and its images, which are None where they are not available or have changed."""
    split_name = measured_split(run)
    facts = card_facts(run, data, run.predictor().class_names)
    split, probabilities = (data.judged, None) if data else (None, None)
    if data and split is not None:
        probabilities = read_predictions(run, split_name, facts.class_names).probabilities[data.rows]
    model = _model(run)
    if split_name != "test":
        notes = [*notes, "There is no test data: what is reported is of validation data, by which choices were made."]
    return ReportFacts(
        **vars(facts),
        recipe=run.file("recipe.yaml").read_text(encoding="utf-8"),
        history=run.history,
        layers=layer_costs(model) if model else None,
        probabilities=probabilities,
        notes=notes,
        files={name: (run.path / name).stat().st_size for name in DELIVERED if (run.path / name).exists()},
        explained=_explained(model, split, probabilities, console)
        if model and split is not None and probabilities is not None
        else None,
    )


def measured_split(run: Run) -> str:
    """The name of the split to judge by; figures of an earlier eyespot are measured anew."""
    split_name = judged_split(run.metrics)
    if split_name is None:
        raise RunError(f"{run.path} has no figures on test or validation data: there is nothing to report.")
    if "calibration" not in run.metrics[split_name]:
        evaluate(run)
        if "calibration" not in run.metrics[split_name]:
            raise RunError(f"{run.path} was measured by an earlier eyespot, and has no images to measure it on anew.")
    return split_name


def _model(run: Run) -> keras.Model | None:
    try:
        return run.model()
    except ModelError:  # classes of its own, for which a report asks no trust
        return None


def _explained(
    model: keras.Model, split: Split, probabilities: Float32[np.ndarray, "n classes"], console: Console
) -> ExplainedMistakes | None:
    """Maps of the most confident mistakes, of the classes that were predicted."""
    rows = wrong_rows(split, probabilities)[:EXPLAINED]
    if not len(rows):
        return None
    images, predicted = np.asarray(split.images[rows]), probabilities[rows].argmax(axis=1)
    try:
        is_large = multiply_adds(model) > LARGE
        with progress_bars(console=console) as progress:
            progress.add_task(f"Explaining {counted(len(rows), 'mistake')}", total=None)
            explanations = explain_images(model, images, predicted, tuple(CAMS) if is_large else MAP_METHODS)
    except ModelError:  # it is not built of layers
        return None
    notes = [*explanations.notes, *([LEFT_OUT] if is_large else [])]
    return ExplainedMistakes(rows, explanations.pictures, notes)
