"""The report: one page that says how good a classifier is, how sure that is, and what it gets wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np

from eyespot.evaluation.intervals import wilson
from eyespot.explanation.maps import TITLES
from eyespot.reporting.card import model_card
from eyespot.reporting.confusion_cells import MOST_CLASSES, confusion_cells, picture_name
from eyespot.reporting.curves import curves_as_svg, learning_curve
from eyespot.reporting.diagram import boxes
from eyespot.reporting.facts import ReportFacts
from eyespot.reporting.map_pictures import map_picture
from eyespot.reporting.page import Language, render, translator
from eyespot.reporting.reliability import reliability_diagram
from eyespot.reporting.results import wrong_rows
from eyespot.reporting.svg import svg
from eyespot.reporting.thumbnails import data_uri
from eyespot.training.verdict import Verdict

STRIP = 8  # pictures of a class
MOST_STRIPS = 60  # classes that are shown with pictures
MISTAKES = 24
SHORT_NAME = 3  # letters that fit above a cell without turning


def report_page(facts: ReportFacts, language: Language = "en") -> str:
    """The page, as HTML."""
    words = translator(language)
    confusion = np.array(facts.evaluation["confusion"])
    cells = confusion_cells(confusion, facts.class_names, facts.split, facts.probabilities)
    return render(
        "report.html.j2",
        language,
        facts=facts,
        evaluation=facts.evaluation,
        verdict=facts.verdict,
        verdict_told=told_verdict(facts.verdict, language),
        made=_made(facts),
        splits=facts.dataset.splits if facts.dataset else {},
        classes=_classes(facts),
        boxes=boxes(facts.layers) if facts.layers else None,
        curves=_curves(facts, words),
        has_long_names=max(map(len, facts.class_names)) > SHORT_NAME,
        has_matrix=len(facts.class_names) <= MOST_CLASSES,
        cells=cells,
        cell_data={cell.key: cell.to_dict() for cell in cells.values() if cell.pictures},
        mistakes=_mistakes(facts),
        explanations=_explanations(facts),
        per_class=_per_class(facts),
        reliability=_reliability(facts, words),
        card=model_card(facts, words),
    )


def told_verdict(verdict: Verdict, language: Language) -> str:
    """The verdict's own words; in other languages, its numbers in a sentence of theirs."""
    if language == "en":
        return f"{verdict.sentence} {verdict.advice}"
    words = translator(language)
    told = [words(f"advice: {verdict.fit}")]
    if verdict.images_needed:
        told.append(words("About {n} validation pictures would tell.", n=f"{verdict.images_needed:,}"))
    if verdict.best_epoch:
        told.insert(0, words("Validation loss was lowest in epoch {best}.", best=verdict.best_epoch))
    if verdict.from_epoch:
        told.insert(0, words("Overfitting from epoch {epoch}.", epoch=verdict.from_epoch))
    return " ".join(told)


def _made(facts: ReportFacts) -> list[tuple[str, str]]:
    """What was run, when, on what."""
    environment, rows = facts.environment, facts.history.rows
    seconds = sum(row["seconds"] for row in rows)
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items() if version)
    sizes = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in facts.files.items())
    told = {
        "command": " ".join(map(str, environment["command"])),
        "started": environment["started"],
        "epochs": f"{len(rows)}",
        "seconds of training": f"{seconds:.1f}",
        "seed": str(facts.settings["training"]["seed"]),
        "versions": f"Python {environment['python']}, {versions}",
        "machine": f"{environment['processor']}, {environment['cores']} cores, {environment['platform']}",
        "device": str(environment["device"]),
        "data (SHA-256)": str(environment.get("dataset_sha256", "")),
        "files": sizes,
    }
    return list(told.items())


def _classes(facts: ReportFacts) -> list[dict[str, Any]]:
    """Each class with its counts and some training pictures."""
    if facts.dataset is None:
        return []
    generator, listed = np.random.default_rng(0), []
    counts = {
        name: np.bincount(split.labels, minlength=len(facts.class_names))
        for name, split in facts.dataset.splits.items()
    }
    for label, name in enumerate(facts.class_names):
        members = generator.permutation(np.flatnonzero(facts.dataset.train.labels == label))[:STRIP]
        shown = [facts.dataset.train.images[row] for row in members] if label < MOST_STRIPS else []
        strip = data_uri(*shown) if shown else None
        listed.append({"name": name, "counts": [int(each[label]) for each in counts.values()], "strip": strip})
    return listed


def _curves(facts: ReportFacts, words: Callable[..., str]) -> list[Any]:
    if not facts.history.rows:
        return []
    return list(curves_as_svg(lambda metric: learning_curve(facts.history, facts.verdict, metric), words))


def _mistakes(facts: ReportFacts) -> list[dict[str, Any]]:
    """The surest wrong answers."""
    split, probabilities = facts.split, facts.probabilities
    if split is None or probabilities is None:
        return []
    predictions, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = wrong_rows(split, probabilities)[:MISTAKES]
    return [
        {
            "picture": data_uri(split.images[row]),
            "label": facts.class_names[split.labels[row]],
            "predict": facts.class_names[predictions[row]],
            "probability": float(sure[row]),
            "name": picture_name(split, row),
        }
        for row in rows.tolist()
    ]


def _explanations(facts: ReportFacts) -> list[dict[str, Any]]:
    """The maps of some mistakes, by method."""
    split, explained = facts.split, facts.explained
    if split is None or explained is None:
        return []
    return [
        {
            "picture": data_uri(split.images[row]),
            "label": facts.class_names[split.labels[row]],
            "predict": facts.class_names[found.label],
            "name": picture_name(split, row),
            "maps": {TITLES[method]: map_picture(each, split.images[row]) for method, each in found.maps.items()},
        }
        for row, found in zip(explained.rows.tolist(), explained.pictures, strict=True)
    ]


def _per_class(facts: ReportFacts) -> list[dict[str, Any]]:
    """Precision, recall with its interval, F1 and support of each class."""
    confusion, listed = np.array(facts.evaluation["confusion"]), []
    for label, name in enumerate(facts.class_names):
        figures, right = facts.evaluation["report"]["classes"][name], int(confusion[label, label])
        total = int(confusion[label].sum())
        listed.append({"name": name, **figures, "interval": wilson(right, total) if total else None})
    return listed


def _reliability(facts: ReportFacts, words: Callable[..., str]) -> Any:
    before, after = (facts.evaluation[name]["bins"] for name in ("before_calibration", "calibration"))
    told = words("How often answers are right, by how sure the model is of them, before and after calibration.")
    return svg(reliability_diagram(before, after), "reliability", told, words)
