"""The report: one page on how good a classifier is, how certain that is, and which mistakes it makes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps

from eyespot.data.dataset import Split
from eyespot.data.pixels import data_uri
from eyespot.evaluation.metrics import compared_with_guessing
from eyespot.evaluation.statistics import wilson
from eyespot.explanation.maps import TITLES, PictureMaps
from eyespot.figures.curves import curves_as_svg, learning_curve
from eyespot.figures.explanation import DIVERGING
from eyespot.figures.results import reliability_diagram, wrong_rows
from eyespot.figures.style import svg
from eyespot.models.cost import LayerCost
from eyespot.reports.card import FEW, CardFacts, Words, data_name, model_card, model_name
from eyespot.reports.confusion import MOST_CLASSES, confusion_cells, picture_name
from eyespot.reports.html import Language, render, translator
from eyespot.reports.shown_data import MISTAKES
from eyespot.shapes import Float32, Int64, UInt8
from eyespot.training.history import History
from eyespot.training.verdict import Verdict

WIDEST, TALLEST = 132.0, 60.0  # pixels on the page
UNDERNEATH = 0.35  # how much of the image is seen through a map
SHORT_NAME = 3  # letters that fit above a cell without turning


@dataclass(frozen=True, eq=False)
class ExplainedMistakes:
    """Explanations of wrong predictions.

    Attributes:
        rows: of the images that are shown.
        pictures: the maps of each, of the predicted class.
        notes: sentences about methods that do not suit the model.
    """

    rows: Int64[np.ndarray, " n"]
    pictures: Sequence[PictureMaps]
    notes: Sequence[str]


@dataclass(frozen=True)
class ReportFacts(CardFacts):
    """The facts that a report rests on, besides those of its model card.

    Attributes:
        judged: the name of the split that the model is judged by.
        recipe: as YAML.
        layers: of the model; None where it cannot be opened.
        probabilities: of the images of the judged split that are shown `[shown, classes]`; None without images.
        notes: sentences that a reader should see first.
        files: sizes in bytes, by name.
        explained: explanations of the most confident mistakes; None where there are none.
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
        """The images of the judged split that are shown."""
        return self.data.judged if self.data else None


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
        gap="" if language == "zh" else " ",  # between sentences
        subject=_subject(facts, words),
        largest=_largest_mistake(facts),
        next_steps=_next_steps(facts, words),
        how_measured=_how_measured(facts, words),
        is_calibrated=facts.metrics.get("temperature", 1.0) != 1.0,
        environment=_environment(facts, words),
        splits=facts.data.totals if facts.data else {},
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


def _subject(facts: ReportFacts, words: Words) -> list[str]:
    """Sentences on what was trained on what."""
    count = len(facts.history.rows)
    values = {
        "model": model_name(facts),
        "data": data_name(facts),
        "epochs": words("1 epoch") if count == 1 else words("{n} epochs", n=count),
        "parameters": f"{facts.metrics['parameters']:,}",
        "classes": len(facts.class_names),
    }
    if facts.data is None:
        return [words("{model}, trained on {data} for {epochs}: {parameters} parameters, {classes} classes.", **values)]
    height, width, channels = facts.data.input_shape
    return [
        words("{model}, trained on {n} images of {data} for {epochs}.", n=f"{facts.data.totals['train']:,}", **values),
        words(
            "{parameters} parameters; {colour} images of {height} × {width} pixels; {classes} classes.",  # noqa: RUF001
            height=height,
            width=width,
            colour=words("greyscale") if channels == 1 else words("colour"),
            **values,
        ),
    ]


def _largest_mistake(facts: ReportFacts) -> dict[str, Any] | None:
    """The most frequent mistake, with the number of images of its label."""
    pair: dict[str, Any]
    for pair in facts.evaluation["most_confused"][:1]:
        return pair | {"total": sum(facts.evaluation["confusion"][facts.class_names.index(pair["label"])])}
    return None


def _next_steps(facts: ReportFacts, words: Words) -> list[str]:
    """What the verdict advises, and what the mistakes and the number of images suggest."""
    guessing = compared_with_guessing(facts.evaluation, facts.class_names)
    steps = [*map(words, guessing), words(facts.verdict.advice)]
    steps += [
        words(
            "Check the labels of the most confident mistakes. Where the labels are right, add training images of "
            "{label} and {predict}, which the model confuses most often.",
            label=pair["label"],
            predict=pair["predict"],
        )
        for pair in facts.evaluation["most_confused"][: 0 if guessing else 1]
    ]
    totals = np.array(facts.evaluation["confusion"]).sum(axis=1)
    if rare := int((totals < FEW).sum()):
        steps.append(
            words(
                "Add {split} images: {few} of {classes} classes have fewer than {n}, and their figures are uncertain.",
                classes=len(totals),
                split=words(facts.judged),
                n=FEW,
                few=rare,
            )
        )
    return [step for step in steps if step]


def _how_measured(facts: ReportFacts, words: Words) -> list[str]:
    """Sentences on the intervals, and on what the test images were used for."""
    sentences = [words("The intervals are Wilson's for the accuracy and bootstrapped for macro F1.")]
    if facts.judged == "test":
        shared = facts.settings.get("split", {}).get("method") == "test"
        sentences.append(
            words("The test images also served as validation data: the figures may be too good.")
            if shared
            else words("No choice in the training was made on the test images.")
        )
    return sentences


def _environment(facts: ReportFacts, words: Words) -> list[tuple[str, str]]:
    """Rows on the run: when and on what it was trained, with which versions."""
    environment, rows = facts.environment, facts.history.rows
    seconds = sum(row["seconds"] for row in rows)
    cores = words("{n} cores", n=environment["cores"])
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items() if version)
    return [
        (words("command"), " ".join(map(str, environment["command"]))),
        (words("started"), environment["started"]),
        (words("epochs"), f"{len(rows)}"),
        (words("training time"), words("{seconds} s", seconds=f"{seconds:.1f}")),
        (words("seed"), str(facts.settings["training"]["seed"])),
        (words("versions"), f"Python {environment['python']}, {versions}"),
        (words("machine"), f"{environment['processor']}, {cores}, {environment['platform']}"),
        (words("device"), str(environment["device"])),
        (words("data (SHA-256)"), str(environment.get("dataset_sha256", ""))),
    ]


def _classes(facts: ReportFacts) -> list[dict[str, Any]]:
    """Each class with its counts and some training images."""
    if facts.data is None:
        return []
    train, classes = facts.data.train, []
    for label, name in enumerate(facts.class_names):
        images = [train.images[row] for row in np.flatnonzero(train.labels == label)]
        counts = [class_counts[label] for class_counts in facts.data.counts.values()]
        classes.append({"name": name, "counts": counts, "strip": data_uri(*images) if images else None})
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


def _curves(facts: ReportFacts, words: Words) -> list[Any]:
    if not facts.history.rows:
        return []
    return list(curves_as_svg(lambda metric: learning_curve(facts.history, facts.verdict, metric), words))


def _mistakes(facts: ReportFacts) -> list[dict[str, Any]]:
    """The most confident wrong predictions."""
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
    """The maps of the most confident mistakes, by method."""
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
    """A map over its image, as data: red raises the score of the class, blue lowers it."""
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


def _reliability(facts: ReportFacts, words: Words) -> Any:
    before, after = (facts.evaluation[name]["bins"] for name in ("before_calibration", "calibration"))
    description = words("Accuracy by predicted probability, before and after calibration.")
    return svg(reliability_diagram(before, after), "reliability", description, words)
