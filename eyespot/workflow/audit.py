"""Audit of a dataset: duplicates, outliers, imbalance and suspicious labels, as data and in sentences."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress, TaskID
from sklearn.model_selection import StratifiedKFold

from eyespot.data.audit.duplicates import DuplicatePair, count_pairs, find_duplicates
from eyespot.data.audit.outliers import Outlier, find_outliers
from eyespot.data.class_balance import WORTH_SAYING, describe_balance
from eyespot.data.dataset import Dataset, SkippedFile, Split
from eyespot.data.pixels import as_pillow
from eyespot.engine.hardware import dtype_for
from eyespot.errors import DataError, counted
from eyespot.evaluation.label_errors import SuspectLabels, find_suspects
from eyespot.models.architectures import build
from eyespot.progress_bars import progress_bars
from eyespot.random import seed_for
from eyespot.recipe.schema import TrainingRecipe
from eyespot.shapes import Float32
from eyespot.training.fit import StepProgress, fit
from eyespot.training.history import EpochFigures
from eyespot.training.program import EngineProgram
from eyespot.workflow.findings import Finding, label_findings, outlier_findings, pair_findings, skipped_findings

FOLDS = 3
NETWORK = "fashion-cnn-dropout"
BATCH = 64
PICTURES_TO_LEARN = 60_000  # a fold, over all epochs: enough for images of 28x28, and a minute or two in all
FEWEST_EPOCHS, MOST_EPOCHS = 2, 20  # with more, a network learns wrong labels by heart
# Longest side of the images that the networks learn from: of 61 flipped labels of 2,062 photographs of hands, 90 % are
# among the 4 % most suspect at 48 pixels, and 79 % at their 100, in three times the time (benchmarks/audit.py).
LARGEST = 48
LEAST_AGREEMENT = 2 / 3  # share of labels that the networks must predict: below it, most that they doubt are right
LISTED = 1_000  # suspects in JSON at least; more where more are estimated to be wrong
SHARE_LISTED = 0.1
IN_WORDS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Audit:
    """Result of an audit.

    Attributes:
        dataset: which was looked at.
        duplicates: pairs of equal or nearly equal images, leaks first.
        oddities: images that stand out.
        balance: counts, missing classes, imbalance, as plain values.
        suspects: training images by how suspect their labels are; None where labels were not checked.
        unchecked: why they were not.
        brief: whether it is that of a training, which lists nothing and points to `look`.
    """

    dataset: Dataset
    duplicates: list[DuplicatePair]
    oddities: list[Outlier]
    balance: dict[str, Any]
    suspects: SuspectLabels | None
    unchecked: str | None = None
    brief: bool = False

    @property
    def skipped(self) -> tuple[SkippedFile, ...]:
        """Files that could not be read, or are no images."""
        return self.dataset.origin.skipped if self.dataset.origin else ()

    @property
    def leaks(self) -> list[DuplicatePair]:
        """Pairs of equal or nearly equal images that lie in two splits."""
        return [pair for pair in self.duplicates if pair.leaks]

    @cached_property
    def findings(self) -> list[Finding]:
        """Everything that concerns one image or file, the gravest kind first; each kind in its order."""
        return [
            *skipped_findings(self.skipped),
            *pair_findings(self.dataset, self.duplicates),
            *outlier_findings(self.dataset, self.oddities),
            *(label_findings(self.dataset, self.suspects) if self.suspects else ()),
        ]

    def sentences(self) -> list[str]:
        """Sentences for the user, the gravest first: what was found, and what to do; none where nothing is wrong."""
        lines = [
            self.dataset.origin.note_on_skipped if self.dataset.origin else None,
            *self._on_pairs(),
            *self._on_classes(),
            self._on_outliers(),
            self._on_labels(),
            self.unchecked,
        ]
        if self.brief and (len(self.skipped) > 1 or self.duplicates or self.oddities):
            lines.append("eyespot look lists these files and images.")
        return [line for line in lines if line]

    def _on_pairs(self) -> Iterator[str]:
        """Yield a sentence for each two splits that share images, one for each split, one for differing labels."""
        by_splits: dict[tuple[str, str], list[DuplicatePair]] = {}
        for pair in self.duplicates:
            by_splits.setdefault((pair.first[0], pair.second[0]), []).append(pair)
        for (first, second), pairs in by_splits.items():
            verb = "lies" if len(pairs) == 1 else "lie"
            if first == second:
                yield f"{count_pairs(pairs)} {verb} within the {IN_WORDS[first]} split: keep one image of each pair."
                continue
            remedy = " `pictures.drop_leaks=True` leaves them out of training." if first == "train" else ""
            yield (
                f"{count_pairs(pairs)} {verb} in the {IN_WORDS[first]} and the {IN_WORDS[second]} split: "
                f"the {IN_WORDS[second]} accuracy may be too good.{remedy}"
            )
        if differing := sum(finding.label != finding.other_label for finding in self.findings if finding.other_split):
            yield f"In {differing:,} of these pairs the labels differ: check which label is right."

    def _on_classes(self) -> Iterator[str]:
        for split, names in self.balance["missing"].items():
            listed = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")  # noqa: PLR2004
            yield f"No {IN_WORDS[split]} image shows {listed}."
        if self.balance["imbalance"] > WORTH_SAYING:
            yield (
                f"The largest class has {self.balance['imbalance']:.1f} times as many training images as the "
                "smallest: `training.class_weights='balanced'` makes up for it."
            )

    def _on_outliers(self) -> str | None:
        if not self.oddities:
            return None
        number = len(self.oddities)
        reasons = Counter(oddity.reason for oddity in self.oddities).most_common()
        by_reason = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
        verb, question = ("stands", "it belongs") if number == 1 else ("stand", "they belong")
        return (
            f"{counted(number, 'image')} {verb} out from the others ({by_reason}): check whether {question} "
            "to the dataset."
        )

    def _on_labels(self) -> str | None:
        if not (self.suspects and self.suspects.estimated):
            return None
        one = self.suspects.estimated == 1
        image, label = ("this image", "its label") if one else ("these images", "each label")
        return (
            f"{self.suspects.estimated:,} of {counted(len(self.dataset.train), 'training label')} may be wrong: small "
            f"networks took {image} for another class. Compare {label} with the image."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "skipped": [{"file": skipped.file, "reason": skipped.reason} for skipped in self.skipped],
            "duplicates": [pair.to_dict(self.dataset) for pair in self.duplicates],
            "oddities": [oddity.to_dict(self.dataset) for oddity in self.oddities],
            "balance": self.balance,
            "suspects": None if self.suspects is None else self._suspects(self.suspects),
            "findings": self.sentences(),
        }

    def _suspects(self, suspects: SuspectLabels) -> dict[str, Any]:
        train, names = self.dataset.train, self.dataset.class_names
        number = max(LISTED, suspects.estimated, int(SHARE_LISTED * len(train)))
        ranked = zip(suspects.rows[:number], suspects.margins, suspects.suggested, strict=False)
        return {
            "estimated": suspects.estimated,
            "ranked": [
                {
                    "row": int(row),
                    "file": train.files[row] if train.files else None,
                    "label": names[int(train.labels[row])],
                    "suggested": names[int(suggested)],
                    "margin": round(float(margin), 4),
                }
                for row, margin, suggested in ranked
            ],
        }


def audit(dataset: Dataset, console: Console, *, labels: bool = True, within: bool = True) -> Audit:
    """Look for what may be wrong with a dataset.

    Args:
        console: where progress is shown.
        labels: check them too, for which small networks are trained, a minute or two for 60,000 images.
        within: look for duplicates within a split, too, not only in two; a training does not, and points to `look`.
    """
    suspects, unchecked = None, None
    if labels:
        try:
            suspects = find_suspect_labels(dataset, console)
            if suspects.agreement < LEAST_AGREEMENT:
                unchecked = (
                    "Labels could not be checked: small networks, trained on the other images, predict only "
                    f"{suspects.agreement:.0%} of them, which is too few to tell a wrong label from a hard image."
                )
                suspects = None
        except DataError as error:
            unchecked = str(error)
    pairs = find_duplicates(dataset, within=within)
    balance = describe_balance(dataset)
    return Audit(dataset, pairs, find_outliers(dataset), balance, suspects, unchecked, brief=not within)


def find_suspect_labels(dataset: Dataset, console: Console, seed: int = 0) -> SuspectLabels:
    """Ranks the training images by how suspect their labels are.

    Three networks learn from two thirds each and judge the last third; nothing of it is kept. Images with more than 48
    pixels a side are reduced to 48.

    Args:
        console: where progress is shown.
        seed: of the folds and of the networks.

    Raises:
        DataError: a class has too few images for that.
    """
    reduced = Dataset(dataset.name, dataset.class_names, _reduced(dataset.train))
    return find_suspects(out_of_fold(reduced, console, seed), dataset.train.labels)


def _reduced(split: Split) -> Split:
    """Images of `LARGEST` pixels on the longer side, in a temporary file; as they are if they are smaller."""
    height, width, channels = split.images.shape[1:]
    factor = LARGEST / max(height, width)
    if factor >= 1:
        return split
    height, width = max(1, round(height * factor)), max(1, round(width * factor))
    with tempfile.TemporaryFile() as file:
        images = np.memmap(file, np.uint8, "w+", shape=(len(split), height, width, channels))
    for row in range(len(split)):
        small = as_pillow(np.asarray(split.images[row])).resize((width, height), Image.Resampling.BOX)
        images[row] = np.asarray(small).reshape(height, width, channels)
    return Split(images, split.labels)


def out_of_fold(dataset: Dataset, console: Console, seed: int) -> Float32[np.ndarray, "n classes"]:
    """Probabilities of the classes for each training image, by a network that has not learnt from it."""
    train = dataset.train
    counts = dataset.class_counts(train)
    present = np.flatnonzero(counts)
    if len(present) < 2 or counts[present].min() < FOLDS:  # noqa: PLR2004 - a choice needs two
        smallest = dataset.class_names[present[counts[present].argmin()]]
        fewest = counted(int(counts[present].min()), "image")
        raise DataError(
            f"{dataset.name}: labels are not checked, since {smallest!r} has {fewest}: that "
            f"takes at least two classes with {FOLDS} each."
        )
    probabilities = np.zeros((len(train), dataset.classes), np.float32)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed_for(seed, "folds"))
    console.print(
        f"Checking {counted(len(train), 'training label')} with {FOLDS} small networks; `labels=False` skips that.",
        highlight=False,
        soft_wrap=True,
    )
    with progress_bars(console=console) as progress:
        task = progress.add_task("Checking labels", total=FOLDS)
        for number, (train_rows, held_out_rows) in enumerate(folds.split(train.labels, train.labels)):
            observer = _Progress(progress, task, number)
            probabilities[held_out_rows] = _judged(
                dataset, train.take(train_rows), train.take(held_out_rows), seed_for(seed, number), observer
            )
    return probabilities


class _Progress:
    """Moves a bar on."""

    def __init__(self, progress: Progress, task: TaskID, done: int) -> None:
        self.progress, self.task, self.done = progress, task, done

    def on_step(self, step: StepProgress) -> None:
        share = (step.epoch - 1 + step.step / step.steps) / step.epochs
        self.progress.update(self.task, completed=self.done + share)

    def on_epoch(self, row: EpochFigures) -> None:
        """Nothing: the epoch's last step was reported as a step."""


def _judged(
    dataset: Dataset, train: Split, held_out: Split, seed: int, observer: _Progress
) -> Float32[np.ndarray, "n classes"]:
    """Trains a network on some images, and gives its probabilities for others."""
    epochs = int(np.clip(round(PICTURES_TO_LEARN / len(train)), FEWEST_EPOCHS, MOST_EPOCHS))
    recipe = TrainingRecipe(
        epochs=epochs,
        batch_size=min(BATCH, len(train)),
        schedule="cosine",
        early_stopping=False,
        keep="last",
        seed=seed,
    )
    model = build(NETWORK, dataset.input_shape, dataset.classes, seed)
    program = EngineProgram(model, recipe, recipe.steps_for(len(train)), dtype_for(recipe.precision))
    fit(program, Dataset(dataset.name, dataset.class_names, train), recipe, (observer,))
    return program.probabilities(held_out)
