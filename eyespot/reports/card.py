"""The model card: what a classifier is for, what it was made of, how good it is, where it fails.

Its sections follow Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv:1810.03993.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.data.dataset import Dataset
from eyespot.evaluation.statistics import wilson
from eyespot.training.diagnose import Verdict

Words = Callable[..., str]
Section = tuple[str, list[str]]
FEW = 30  # pictures of a class, with which its figures are uncertain
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
        dataset: the run's pictures; None where they are gone or have changed.
    """

    name: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Any]
    judged: str | None
    class_names: tuple[str, ...]
    dataset: Dataset | None

    @property
    def evaluation(self) -> dict[str, Any]:
        """The figures on the split that counts; none where there is none."""
        metrics: dict[str, Any] = self.metrics[self.judged] if self.judged else {}
        return metrics


def model_card(facts: CardFacts, words: Words) -> list[Section]:
    """Headings, each with its sentences."""
    return [
        (words("The model"), _model(facts, words)),
        (words("What it is for"), _use(facts, words)),
        (words("What it has learnt from"), _data(facts, words)),
        (words("How good it is"), _figures(facts, words)),
        (words("Where it fails"), _limits(facts, words)),
    ]


def _model(facts: CardFacts, words: Words) -> list[str]:
    settings, packages = facts.settings["model"], facts.environment.get("packages", {})
    lines = [
        words(
            "{name}, a Keras model with {parameters} parameters, made by eyespot {version} on {date}.",
            name=_without_folder(settings.get("name") or settings.get("from") or facts.name),
            parameters=f"{facts.metrics['parameters']:,}",
            version=packages.get("eyespot", "?"),
            date=str(facts.environment.get("started", "?"))[:10],
        )
    ]
    if facts.dataset:
        height, width, channels = facts.dataset.input_shape
        colour = words("grey") if channels == 1 else words("colour")
        lines.append(
            words(
                "It takes {colour} pictures of {height} x {width} pixels, and names one of {classes} classes: {names}.",
                height=height,
                width=width,
                colour=colour,
                classes=len(facts.class_names),
                names=_names(facts),
            )
        )
    return lines


def _without_folder(name: str) -> str:
    """A file's or folder's name without where it lies, which a card that is passed on does not tell."""
    return Path(name).name or name


def _names(facts: CardFacts) -> str:
    names = ", ".join(facts.class_names[:NAMED])
    return names + ", …" if len(facts.class_names) > NAMED else names


def _use(facts: CardFacts, words: Words) -> list[str]:
    return [
        words(
            "For pictures like those of {data}, each of which shows one of the classes.",
            data=facts.dataset.name if facts.dataset else _without_folder(facts.settings["dataset"]),
        ),
        words(
            "Not for decisions about people, or where a wrong answer does harm, without a check of its own. Whatever "
            "it is shown, it names a class, unless it is asked to reject what is unlike anything it has seen."
        ),
    ]


def _data(facts: CardFacts, words: Words) -> list[str]:
    if facts.dataset is None:
        return [words("Its pictures are no longer there.")]
    counts = {name: f"{len(split):,}" for name, split in facts.dataset.splits.items()}
    lines = [
        words(
            "{train} training, {validation} validation and {test} test pictures of {data}.",
            train=counts["train"], validation=counts.get("validation", "0"), test=counts.get("test", "0"),
            data=facts.dataset.name,
        )
    ]  # fmt: skip
    policy = facts.settings.get("augmentation", {}).get("policy", "none")
    if policy != "none":
        lines.append(words("Training pictures were changed at random (policy {policy}).", policy=policy))
    return lines


def _figures(facts: CardFacts, words: Words) -> list[str]:
    if facts.judged is None:
        return [words("It has been measured on no pictures: there were neither test nor validation data.")]
    figures, (low, high) = facts.evaluation, facts.evaluation["accuracy_interval"]
    f1_low, f1_high = facts.evaluation["macro_f1_interval"]
    return [
        words(
            "Accuracy on {n} {split} pictures: {accuracy} (95 % interval {low} to {high}).",
            n=f"{figures['n']:,}", split=words(facts.judged), accuracy=f"{figures['accuracy']:.2%}",
            low=f"{low:.2%}", high=f"{high:.2%}",
        ),
        words(
            "Macro F1: {value} (95 % interval {low} to {high}).",
            value=f"{figures['report']['macro avg']['f1-score']:.4f}", low=f"{f1_low:.4f}", high=f"{f1_high:.4f}",
        ),
        words(
            "Its probabilities are off by {after} on average ({before} before calibration, temperature {temperature}).",
            after=f"{figures['calibration']['ece']:.2%}", before=f"{figures['before_calibration']['ece']:.2%}",
            temperature=f"{facts.metrics.get('temperature', 1.0):.2f}",
        ),
        words(
            "Fit, judged on training and validation pictures: {verdict}.",
            verdict=words(Verdict.from_dict(facts.metrics["verdict"]).of_kept_model),
        ),
    ]  # fmt: skip


def _limits(facts: CardFacts, words: Words) -> list[str]:
    caution = words(
        "All figures are of pictures from the same source as those it has learnt from; on others it may do worse."
    )
    return [*_mistakes(facts, words), caution] if facts.judged else [words("That has not been measured.")]


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
                    "Of {name}, it recognises {recall} (95 % interval {low} to {high}, {n} pictures).",
                    name=facts.class_names[label],
                    recall=f"{recalls[label]:.1%}",
                    low=f"{low:.1%}",
                    high=f"{high:.1%}",
                    n=f"{int(totals[label]):,}",
                )
            )
    lines += [
        words(
            "{label} is taken for {predict} most often: {n} pictures.",
            label=pair["label"], predict=pair["predict"], n=f"{pair['pictures']:,}",
        )
        for pair in facts.evaluation["most_confused"][:1]
    ]  # fmt: skip
    if rare := int((totals < FEW).sum()):
        lines.append(
            words(
                "{few} classes have fewer than {n} pictures here: what is said of them is uncertain.", few=rare, n=FEW
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
