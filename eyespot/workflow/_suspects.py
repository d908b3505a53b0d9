"""Labels that may be wrong: what small networks say of pictures that they have not learnt from."""

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID
from sklearn.model_selection import StratifiedKFold

from eyespot.data.dataset import Dataset, Split
from eyespot.engine.precision import dtype_for
from eyespot.errors import DataError
from eyespot.evaluation.label_errors import Suspects, find_suspects
from eyespot.models.architectures import build
from eyespot.recipe_parts import TrainingRecipe
from eyespot.seeds import seed_for
from eyespot.shapes import Float32
from eyespot.training.fit import Step, fit
from eyespot.training.history import Row
from eyespot.training.program import EngineProgram

FOLDS = 3
NETWORK = "fashion-cnn-dropout"
BATCH = 64
PICTURES_TO_LEARN = 60_000  # a fold, over all epochs: enough for pictures of 28x28, and a minute or two in all
FEWEST_EPOCHS, MOST_EPOCHS = 2, 20  # with more, a network learns wrong labels by heart


def suspects_in(dataset: Dataset, console: Console, seed: int = 0) -> Suspects:
    """Ranks the training pictures by how suspect their labels are.

    Three networks learn from two thirds each and judge the last third; nothing of it is kept.

    Args:
        console: where progress is shown.
        seed: of the folds and of the networks.

    Raises:
        DataError: a class has too few pictures for that.
    """
    return find_suspects(out_of_fold(dataset, console, seed), dataset.train.labels)


def out_of_fold(dataset: Dataset, console: Console, seed: int) -> Float32[np.ndarray, "n classes"]:
    """Probabilities of the classes for each training picture, by a network that has not learnt from it."""
    train = dataset.train
    counts = dataset.class_counts(train)
    present = np.flatnonzero(counts)
    if len(present) < 2 or counts[present].min() < FOLDS:  # noqa: PLR2004 - a choice needs two
        few = dataset.class_names[present[counts[present].argmin()]]
        raise DataError(
            f"{dataset.name}: labels are not checked, since {few!r} has {counts[present].min()} pictures: that takes "
            f"at least two classes with {FOLDS} each."
        )
    probabilities = np.zeros((len(train), dataset.classes), np.float32)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed_for(seed, "folds"))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("Checking labels", total=FOLDS)
        for number, (learnt, judged) in enumerate(folds.split(train.labels, train.labels)):
            told = _Progress(progress, task, number)
            probabilities[judged] = _judged(
                dataset, train.take(learnt), train.take(judged), seed_for(seed, number), told
            )
    return probabilities


class _Progress:
    """Moves a bar on."""

    def __init__(self, progress: Progress, task: TaskID, done: int) -> None:
        self.progress, self.task, self.done = progress, task, done

    def on_step(self, step: Step) -> None:
        share = (step.epoch - 1 + step.step / step.steps) / step.epochs
        self.progress.update(self.task, completed=self.done + share)

    def on_epoch(self, row: Row) -> None:
        """Its last step has been told."""


def _judged(
    dataset: Dataset, learnt: Split, judged: Split, seed: int, told: _Progress
) -> Float32[np.ndarray, "n classes"]:
    """Trains a network on some pictures, and gives its probabilities for others."""
    epochs = int(np.clip(round(PICTURES_TO_LEARN / len(learnt)), FEWEST_EPOCHS, MOST_EPOCHS))
    recipe = TrainingRecipe(
        epochs=epochs,
        batch_size=min(BATCH, len(learnt)),
        schedule="cosine",
        early_stopping=False,
        keep="last",
        seed=seed,
    )
    model = build(NETWORK, dataset.input_shape, dataset.classes, seed)
    program = EngineProgram(model, recipe, recipe.steps_for(len(learnt)), dtype_for(recipe.precision))
    fit(program, Dataset(dataset.name, dataset.class_names, learnt), recipe, (told,))
    return program.probabilities(judged)
