"""The report: one page that says how good a classifier is, how sure that is, and what it gets wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps

from eyespot.data.dataset import Split
from eyespot.evaluation.statistics import wilson
from eyespot.explanation.maps import TITLES, PictureMaps
from eyespot.figures.curves import curves_as_svg, learning_curve
from eyespot.figures.explanation import DIVERGING
from eyespot.figures.results import reliability_diagram, wrong_rows
from eyespot.figures.style import svg
from eyespot.models.cost import LayerCost
from eyespot.reports.card import CardFacts, model_card
from eyespot.reports.confusion import MOST_CLASSES, confusion_cells, picture_name
from eyespot.reports.html import Language, data_uri, render, translator
from eyespot.shapes import Float32, Int64, UInt8
from eyespot.training.diagnose import Verdict
from eyespot.training.history import History

WIDEST, TALLEST = 132.0, 60.0  # pixels on the page
UNDERNEATH = 0.35  # how much of the picture is seen through a map
STRIP = 8  # pictures of a class
MOST_STRIPS = 60  # classes that are shown with pictures
MISTAKES = 24
SHORT_NAME = 3  # letters that fit above a cell without turning


@dataclass(frozen=True, eq=False)
class ExplainedMistakes:
    """Why a model was wrong, as far as maps say it.

    Attributes:
        rows: of the split that counts.
        pictures: the maps of each, of the class that it was taken for.
        notes: sentences about methods that the model leaves no room for, or that suit it ill.
    """

    rows: Int64[np.ndarray, " n"]
    pictures: Sequence[PictureMaps]
    notes: Sequence[str]


@dataclass(frozen=True)
class ReportFacts(CardFacts):
    """All that a report rests on: what its model card does, and more.

    Attributes:
        judged: the name of the split that the report judges by.
        recipe: as YAML.
        layers: of the model; None where it cannot be opened.
        probabilities: what the model answers on the judged split `[n, classes]`; None without its pictures.
        notes: what a reader should know before anything else.
        files: sizes in bytes, by name.
        explained: the surest mistakes, explained; None where there are no pictures, or none can be.
    """

    judged: str
    recipe: str
    history: History
    layers: Sequence[LayerCost] | None
    probabilities: Float32[np.ndarray, "n classes"] | None
    notes: Sequence[str]
    files: dict[str, int]
    explained: ExplainedMistakes | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the learning curves."""
        return Verdict.from_dict(self.metrics["verdict"])

    @property
    def split(self) -> Split | None:
        """The pictures of the split that counts."""
        return self.dataset.splits[self.judged] if self.dataset else None


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
        verdict_sentence=verdict_text(facts.verdict, language),
        made=_made(facts),
        splits=facts.dataset.splits if facts.dataset else {},
        classes=_classes(facts),
        boxes=layer_boxes(facts.layers) if facts.layers else None,
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


def verdict_text(verdict: Verdict, language: Language) -> str:
    """The verdict's own words; in other languages, its numbers in a sentence of theirs."""
    if language == "en":
        return f"{verdict.sentence} {verdict.advice}"
    words = translator(language)
    sentences = [words(f"advice: {verdict.fit}")]
    if verdict.images_needed:
        sentences.append(words("About {n} validation pictures would tell.", n=f"{verdict.images_needed:,}"))
    if verdict.best_epoch:
        sentences.insert(0, words("Validation loss was lowest in epoch {best}.", best=verdict.best_epoch))
    if verdict.from_epoch:
        sentences.insert(0, words("Overfitting from epoch {epoch}.", epoch=verdict.from_epoch))
    return " ".join(sentences)


def _made(facts: ReportFacts) -> list[tuple[str, str]]:
    """Rows on the run: when and on what it was trained, with which versions."""
    environment, rows = facts.environment, facts.history.rows
    seconds = sum(row["seconds"] for row in rows)
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items() if version)
    sizes = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in facts.files.items())
    entries = {
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
    return list(entries.items())


def _classes(facts: ReportFacts) -> list[dict[str, Any]]:
    """Each class with its counts and some training pictures."""
    if facts.dataset is None:
        return []
    generator, classes = np.random.default_rng(0), []
    counts = {
        name: np.bincount(split.labels, minlength=len(facts.class_names))
        for name, split in facts.dataset.splits.items()
    }
    for label, name in enumerate(facts.class_names):
        members = generator.permutation(np.flatnonzero(facts.dataset.train.labels == label))[:STRIP]
        images = [facts.dataset.train.images[row] for row in members] if label < MOST_STRIPS else []
        strip = data_uri(*images) if images else None
        classes.append(
            {"name": name, "counts": [int(class_counts[label]) for class_counts in counts.values()], "strip": strip}
        )
    return classes


@dataclass(frozen=True)
class LayerBox:
    """One layer.

    Attributes:
        layer: its name, shape and cost.
        width, height: how large what comes out of it is drawn, by the logarithms of its channels and of its side.
        joins: the layers that it takes from, where these are not the one before it alone.
        parameters_share, work_share: of all parameters, and of all multiply-adds, in [0, 1].
    """

    layer: LayerCost
    width: float
    height: float
    joins: tuple[str, ...]
    parameters_share: float
    work_share: float

    @property
    def shape(self) -> str:
        """The layer's output shape, as in `28 x 28 x 32`."""
        return " × ".join(map(str, self.layer.shape))  # noqa: RUF001 - the sign for it


def layer_boxes(layers: Sequence[LayerCost]) -> list[LayerBox]:
    """Boxes of a model's layers for a page, in the order in which they run."""
    parameters, multiply_adds = (
        max(1, sum(getattr(layer, name) for layer in layers)) for name in ("parameters", "multiply_adds")
    )
    most_channels = max((_channels(layer) for layer in layers), default=1)
    largest_side = max((_side(layer) for layer in layers), default=1)
    boxes, previous = [], ""
    for layer in layers:
        joins = layer.inputs if layer.inputs not in {(previous,), ()} else ()
        width, height = WIDEST * _scaled(_channels(layer), most_channels), TALLEST * _scaled(_side(layer), largest_side)
        shares = layer.parameters / parameters, layer.multiply_adds / multiply_adds
        boxes.append(LayerBox(layer, width, height, joins, *shares))
        previous = layer.name
    return boxes


def _channels(layer: LayerCost) -> int:
    return layer.shape[-1] if layer.shape else 1


def _side(layer: LayerCost) -> int:
    return max(layer.shape[:-1], default=1)


def _scaled(value: int, largest: int) -> float:
    """In [0.1, 1]."""
    return 0.1 + 0.9 * math.log1p(value) / math.log1p(largest)


def _curves(facts: ReportFacts, words: Callable[..., str]) -> list[Any]:
    if not facts.history.rows:
        return []
    return list(curves_as_svg(lambda metric: learning_curve(facts.history, facts.verdict, metric), words))


def _mistakes(facts: ReportFacts) -> list[dict[str, Any]]:
    """The surest wrong answers."""
    split, probabilities = facts.split, facts.probabilities
    if split is None or probabilities is None:
        return []
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = wrong_rows(split, probabilities)[:MISTAKES]
    return [
        {
            "picture": data_uri(split.images[row]),
            "label": facts.class_names[split.labels[row]],
            "predict": facts.class_names[predictions[row]],
            "probability": float(confidence[row]),
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
            "predict": facts.class_names[picture.label],
            "name": picture_name(split, row),
            "maps": {TITLES[method]: map_picture(values, split.images[row]) for method, values in picture.maps.items()},
        }
        for row, picture in zip(explained.rows.tolist(), explained.pictures, strict=True)
    ]


def map_picture(found: Float32[np.ndarray, "height width"], image: UInt8[np.ndarray, "height width channels"]) -> str:
    """A map over its picture, as data: red speaks for the class, blue against it, white says nothing."""
    limit = float(np.abs(found).max()) or 1.0
    colours = colormaps[DIVERGING](0.5 + found / (2 * limit))[..., :3]
    grey = image.mean(axis=-1, keepdims=True) / 255
    mixed = (1 - UNDERNEATH) * colours + UNDERNEATH * grey
    return data_uri((255 * mixed).round().astype(np.uint8))


def _per_class(facts: ReportFacts) -> list[dict[str, Any]]:
    """Precision, recall with its interval, F1 and support of each class."""
    confusion, rows = np.array(facts.evaluation["confusion"]), []
    for label, name in enumerate(facts.class_names):
        figures, correct = facts.evaluation["report"]["classes"][name], int(confusion[label, label])
        total = int(confusion[label].sum())
        rows.append({"name": name, **figures, "interval": wilson(correct, total) if total else None})
    return rows


def _reliability(facts: ReportFacts, words: Callable[..., str]) -> Any:
    before, after = (facts.evaluation[name]["bins"] for name in ("before_calibration", "calibration"))
    description = words("How often answers are right, by how sure the model is of them, before and after calibration.")
    return svg(reliability_diagram(before, after), "reliability", description, words)
