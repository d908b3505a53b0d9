"""The model card: details of the model, its intended use, training data, performance and limitations.

Its sections follow Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv:1810.03993.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.evaluation.statistics import wilson
from eyespot.reports.shown_data import ShownData
from eyespot.training.verdict import Verdict

Words = Callable[..., str]
Section = tuple[str, list[str]]
FEW = 30  # images of a class: with fewer, its figures are uncertain
NAMED = 20  # classes
WEAKEST = 3


@dataclass(frozen=True)
class CardFacts:
    """The facts that a model card rests on.

    Attributes:
        name: of the run.
        settings: the recipe as plain values.
        environment, metrics: what the run's files of these names hold.
        judged: the name of the split that the model is judged by; None where there was none to measure on.
        class_names: one a class.
        data: what is known of the run's images; None where they are not available.
    """

    name: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Any]
    judged: str | None
    class_names: tuple[str, ...]
    data: ShownData | None

    @property
    def evaluation(self) -> dict[str, Any]:
        """The figures on the judged split; none where there is none."""
        metrics: dict[str, Any] = self.metrics[self.judged] if self.judged else {}
        return metrics


def model_card(facts: CardFacts, words: Words) -> list[Section]:
    """Headings, each with its sentences."""
    return [
        (words("Model details"), _model(facts, words)),
        (words("Intended use"), _use(facts, words)),
        (words("Training data"), _data(facts, words)),
        (words("Performance"), _figures(facts, words)),
        (words("Limitations"), _limits(facts, words)),
    ]


def _model(facts: CardFacts, words: Words) -> list[str]:
    packages = facts.environment.get("packages", {})
    lines = [
        words(
            "{name}: a Keras model with {parameters} parameters, trained with eyespot {version} on {date}.",
            name=model_name(facts),
            parameters=f"{facts.metrics['parameters']:,}",
            version=packages.get("eyespot", "?"),
            date=str(facts.environment.get("started", "?"))[:10],
        )
    ]
    if facts.data:
        height, width, channels = facts.data.input_shape
        lines.append(
            words(
                "It takes {colour} images of {height} x {width} pixels and predicts one of {classes} classes: {names}.",
                height=height,
                width=width,
                colour=words("greyscale") if channels == 1 else words("colour"),
                classes=len(facts.class_names),
                names=_names(facts, words),
            )
        )
    return lines


def model_name(facts: CardFacts) -> str:
    """The name of the architecture, or of the file that the model comes from."""
    settings = facts.settings["model"]
    return _without_folder(settings.get("name") or settings.get("from") or facts.name)


def data_name(facts: CardFacts) -> str:
    """The name of the dataset."""
    return facts.data.name if facts.data else _without_folder(facts.settings["dataset"])


def _without_folder(name: str) -> str:
    """A file's or folder's name without its place, which a card that is passed on does not reveal."""
    return Path(name).name or name


def _names(facts: CardFacts, words: Words) -> str:
    more = ["…"] if len(facts.class_names) > NAMED else []
    return words(", ").join([*facts.class_names[:NAMED], *more])


def _use(facts: CardFacts, words: Words) -> list[str]:
    return [
        words("For images like those of {data}, each of which shows one of the classes.", data=data_name(facts)),
        words("Not for decisions about people, nor where a wrong prediction does harm, without a separate evaluation."),
        words(
            "It predicts a class for every image, unless it is set to reject images that are out of distribution "
            "(`predict(reject=True)`)."
        ),
    ]


def _data(facts: CardFacts, words: Words) -> list[str]:
    if facts.data is None:
        return [words("The images are not available.")]
    counts = {name: f"{total:,}" for name, total in facts.data.totals.items()}
    lines = [
        words(
            "{train} training, {validation} validation and {test} test images of {data}.",
            train=counts["train"], validation=counts.get("validation", "0"), test=counts.get("test", "0"),
            data=facts.data.name,
        )
    ]  # fmt: skip
    policy = facts.settings.get("augmentation", {}).get("policy", "none")
    if policy != "none":
        lines.append(words("Augmentation of the training images: policy {policy}.", policy=policy))
    return lines


def _figures(facts: CardFacts, words: Words) -> list[str]:
    if facts.judged is None:
        return [words("Not evaluated: there were no test or validation images.")]
    figures, (low, high) = facts.evaluation, facts.evaluation["accuracy_interval"]
    f1_low, f1_high = facts.evaluation["macro_f1_interval"]
    return [
        words(
            "Accuracy on {n} {split} images: {accuracy} (95 % interval {low} to {high}).",
            n=f"{figures['n']:,}", split=words(facts.judged), accuracy=f"{figures['accuracy']:.2%}",
            low=f"{low:.2%}", high=f"{high:.2%}",
        ),
        words(
            "Macro F1: {value} (95 % interval {low} to {high}).",
            value=f"{figures['report']['macro avg']['f1-score']:.4f}", low=f"{f1_low:.4f}", high=f"{f1_high:.4f}",
        ),
        words(
            "Expected calibration error: {after} ({before} before calibration, temperature {temperature}).",
            after=f"{figures['calibration']['ece']:.2%}", before=f"{figures['before_calibration']['ece']:.2%}",
            temperature=f"{facts.metrics.get('temperature', 1.0):.2f}",
        ),
        words(
            "Verdict on the fit: {verdict}.",
            verdict=words(Verdict.from_dict(facts.metrics["verdict"]).of_kept_model),
        ),
    ]  # fmt: skip


def _limits(facts: CardFacts, words: Words) -> list[str]:
    caution = words(
        "All figures are of images from the same source as the training data. On other images it may do worse."
    )
    return [*_mistakes(facts, words), caution] if facts.judged else [words("Not evaluated.")]


def _mistakes(facts: CardFacts, words: Words) -> list[str]:
    confusion = np.array(facts.evaluation["confusion"])
    totals = confusion.sum(axis=1)
    recalls = np.divide(confusion.diagonal(), totals, out=np.ones(len(totals)), where=totals > 0)
    lines = []
    for label in np.argsort(recalls, kind="stable")[:WEAKEST].tolist():
        if recalls[label] < 1:
            low, high = wilson(int(confusion[label, label]), int(totals[label]))
            lines.append(
                words(
                    "Recall of {name}: {recall} (95 % interval {low} to {high}, {n} images).",
                    name=facts.class_names[label],
                    recall=f"{recalls[label]:.1%}",
                    low=f"{low:.1%}",
                    high=f"{high:.1%}",
                    n=f"{int(totals[label]):,}",
                )
            )
    lines += [
        words(
            "Most frequent mistake: {label} predicted as {predict}, {n} images.",
            label=pair["label"], predict=pair["predict"], n=f"{pair['pictures']:,}",
        )
        for pair in facts.evaluation["most_confused"][:1]
    ]  # fmt: skip
    if rare := int((totals < FEW).sum()):
        lines.append(
            words(
                "{few} of {classes} classes have fewer than {n} images here, and their figures are uncertain.",
                few=rare,
                classes=len(totals),
                n=FEW,
            )
        )
    return lines


def card_markdown(title: str, sections: list[Section]) -> str:
    """A card as a Markdown file."""
    parts = [
        f"# {title}",
        *(f"## {heading}\n\n" + "\n".join(f"- {line}" for line in lines) for heading, lines in sections),
    ]
    return "\n\n".join(parts) + "\n"
