"""How often the verdict on a training is wrong, over many seeds; the rates are printed (`pytest -s`).

Each training of a subset draws its own images by the seed. What fits well has dropout, augmentation or few epochs;
what overfits has none of these, and is trained far past its lowest validation loss.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from eyespot.training.diagnose import diagnose
from eyespot.training.fit import fit
from eyespot.training.validation_loss import ValidationCurve
from eyespot.workflow.prepare import prepare, program_for
from tests.conftest import needs_real_data

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Course:
    """A training, and how many images of a dataset's splits it gets; None: all."""

    source: str
    settings: dict[str, Any]
    train: int | None = None
    validation: int | None = None

    def verdict(self, seed: int) -> str:
        """The verdict on the training with that seed."""
        settings = {**self.settings, "training.seed": seed}
        prepared = prepare(self.source, None, settings, {}, trust=False, verbose=0)
        dataset, recipe = prepared.dataset, prepared.recipe.training
        assert dataset.validation is not None
        generator = np.random.default_rng(seed)
        train, validation = (
            split if images is None else split.take(np.sort(generator.choice(len(split), images, replace=False)))
            for split, images in ((dataset.train, self.train), (dataset.validation, self.validation))
        )
        dataset = replace(dataset, train=train, validation=validation)
        program = program_for(prepared, recipe.steps_for(len(train)), lambda _: None)
        outcome = fit(program, dataset, recipe)
        return diagnose(outcome.history, dataset.classes, evidence=outcome.evidence).fit


DIGITS = Course("digits", {})
SHORT = {"training.epochs": 12, "split.method": "fraction"}
WELL_FITTED = {
    "digits, augmented": Course("digits", {"augmentation.policy": "digits"}),
    "fashion-cnn-dropout": Course("fashion-cnn-dropout", {"training.epochs": 20}, 3_000, 1_000),
    "mnist-cnn-small": Course("mnist-cnn-small", SHORT, 10_000, 1_000),
    "mnist-mlp": Course("mnist-mlp", SHORT, 10_000, 1_000),
}
PAST_THE_LOWEST = {"training.epochs": 40, "training.early_stopping": False}
OVERFITTED = {
    "fashion-cnn": Course("fashion-cnn", {"training.epochs": 40}, 1_000, 1_000),
    "mlp without dropout": Course(
        "fashion-mnist", PAST_THE_LOWEST | {"model.name": "mlp", "model.dropout": 0}, 1_000, 500
    ),
    "small cnn": Course(
        "fashion-mnist", PAST_THE_LOWEST | {"model.name": "mnist-cnn-small", "training.epochs": 60}, 1_000, 500
    ),
    "mnist-mlp-no-dropout": Course("mnist-mlp-no-dropout", {"training.epochs": 40}, 1_000, 1_000),
}


def rates(name: str, course: Course, seeds: int) -> Counter[str]:
    """How many seeds have each verdict."""
    counts = Counter(course.verdict(seed) for seed in range(seeds))
    print(f"\n{name}, {seeds} seeds: " + ", ".join(f"{fit} {count}" for fit, count in counts.most_common()))  # noqa: T201 - with pytest -s
    return counts


def test_digits_by_default_are_seldom_called_overfitted():
    """Over 100 seeds of `eyespot train`, at most 5 % are called overfitted."""
    assert rates("digits", DIGITS, 100)["overfitting"] <= 5


@needs_real_data
@pytest.mark.parametrize("name", WELL_FITTED)
def test_what_fits_well_is_seldom_called_overfitted(name: str):
    """Over 40 seeds of trainings that fit well, at most 5 % are called overfitted."""
    assert rates(name, WELL_FITTED[name], 40)["overfitting"] <= 2


@needs_real_data
@pytest.mark.parametrize("name", OVERFITTED)
def test_overfitting_is_found(name: str):
    """Over 40 seeds of trainings without regularisation, at least 95 % are called overfitted."""
    assert rates(name, OVERFITTED[name], 40)["overfitting"] >= 38


@pytest.mark.parametrize(("epochs", "images"), [(8, 1_000), (20, 150), (20, 1_000), (40, 1_000)])
def test_a_level_curve_seldom_seems_to_rise(epochs: int, images: int):
    """Losses that fall to a level and then jump by 5 % an epoch seem to rise from their lowest in at most 5 %."""
    generator = np.random.default_rng(0)
    repeats, alarms = 400, 0
    for _ in range(repeats):
        course = 1 + 0.5 * np.exp(-6 * np.arange(epochs) / epochs) + generator.normal(0, 0.05, epochs)
        of_images = generator.exponential(0.3, images) * (generator.random(images) < 0.3)
        losses = of_images * course[:, None] * generator.gamma(4.0, 0.25, (epochs, images))
        alarms += ValidationCurve([], losses.astype(np.float32)).rise_p_value < 0.05
    print(f"\n{epochs} epochs, {images} images: {alarms / repeats:.1%}")  # noqa: T201 - with pytest -s
    assert alarms / repeats <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)
