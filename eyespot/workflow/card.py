"""The model card of a run: `model-card.md`, and the same text inside `model.onnx`."""

from pathlib import Path
from typing import Any

from eyespot.data.dataset import Dataset
from eyespot.errors import DataError, RunError
from eyespot.files import check_own, record, write_text
from eyespot.inference.metadata import CARD_KEY, add_metadata
from eyespot.reports.card import CardFacts, card_markdown, model_card
from eyespot.reports.html import Language, translator
from eyespot.reports.shown_data import ShownData, shown_data
from eyespot.run import Run
from eyespot.workflow.run_data import pictures_of

CARD = "model-card.md"
JUDGED = ("test", "validation")  # what a model is judged by, the first that there is


def write_card(run: Run, dataset: Dataset) -> None:
    """At the end of a training, when its figures are written; nothing is measured, and no model opened.

    Args:
        dataset: what it was trained on.
    """
    card = card_text(card_facts(run, shown_data(dataset, None), dataset.class_names))
    add_metadata(run.file("model.onnx"), CARD_KEY, card)
    write_text(run.path / CARD, card)  # as `check_card` found before the training, it is nobody else's


def card_text(facts: CardFacts, language: Language = "en") -> str:
    """A card as Markdown."""
    return card_markdown(facts.name, model_card(facts, translator(language)))


def card_facts(run: Run, data: ShownData | None, class_names: tuple[str, ...]) -> CardFacts:
    """The facts that a run's files hold.

    Args:
        data: None where its images are not available, or have changed.
    """
    metrics = run.metrics
    return CardFacts(
        name=run.name,
        settings=run.recipe.model_dump(by_alias=True, mode="json"),
        environment=run.environment,
        metrics=metrics,
        judged=judged_split(metrics),
        class_names=class_names,
        data=data,
    )


def judged_split(metrics: dict[str, Any]) -> str | None:
    """The name of the split to judge by; None where nothing was measured."""
    return next((name for name in JUDGED if name in metrics), None)


def check_card(path: Path, run: Run) -> None:
    """Checks, before any work, that a card may be written here.

    Raises:
        RunError: what is there is not by eyespot, or was changed.
    """
    if path.is_file() and not path.is_symlink() and (run.path / "model.onnx").exists():
        stored_card = run.predictor().card
        if stored_card is not None and path.read_bytes() == stored_card.encode():
            record(path)  # as a training wrote it, which keeps no record
    check_own(path)


def card_of(run: Run) -> str:
    """The card that `model.onnx` carries; of a run of an earlier eyespot, which carries none, it is made now.

    Raises:
        RunError: the run is half there, or was measured before probabilities were calibrated.
    """
    predictor = run.predictor()
    if predictor.card is not None:
        return predictor.card
    try:
        dataset, changed = pictures_of(run)
    except DataError:
        data = None
    else:
        data = None if changed else shown_data(dataset, None)
    facts = card_facts(run, data, predictor.class_names)
    if facts.judged and "calibration" not in facts.evaluation:
        raise RunError(
            f"{run.path} was measured by an earlier eyespot: measure it anew with: eyespot evaluate {run.path}"
        )
    return card_text(facts)
