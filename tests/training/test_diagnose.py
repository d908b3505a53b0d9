import math
from pathlib import Path

import pytest
import yaml

from eyespot.training.diagnose import diagnose
from eyespot.training.history import History

PUBLISHED = yaml.safe_load((Path(__file__).parent / "published_curves.yaml").read_text())


def history(**columns: list[float]) -> History:
    """Columns as a history."""
    epochs = len(next(iter(columns.values())))
    return History([{"epoch": e + 1, **{name: values[e] for name, values in columns.items()}} for e in range(epochs)])


def test_the_tutorials_network_without_dropout_overfits():
    """The published curves get the published verdict, from epoch 7, with the epoch to stop at, 6."""
    verdict = diagnose(history(**PUBLISHED["fashion-cnn"]), classes=10)
    assert verdict.fit == "overfitting"
    assert (verdict.stop_epoch, verdict.best_epoch, verdict.from_epoch) == (6, 6, 7)
    assert verdict.loss_gap == pytest.approx(0.4134)
    assert verdict.accuracy_gap == pytest.approx(0.0701)
    assert "Overfitting from epoch 7" in verdict.sentence


def test_the_tutorials_network_with_dropout_fits_well():
    """The published curves get the published verdict: not overfitting."""
    assert diagnose(history(**PUBLISHED["fashion-cnn-dropout"]), classes=10).fit == "good fit"


def test_the_small_tutorial_network_is_best_at_6():
    """The tutorial reads "the 5th or 6th" off its curves; the first epoch within 2 % of the lowest is 6."""
    assert diagnose(history(**PUBLISHED["mnist-cnn-small"]), classes=10).stop_epoch == 6


def test_a_wide_gap_is_overfitting_though_validation_loss_is_flat():
    """Training accuracy far above validation accuracy is overfitting from where the gap opened for good."""
    verdict = diagnose(
        history(
            loss=[1.0, 0.5, 0.2, 0.05],
            val_loss=[1.0, 0.8, 0.78, 0.79],
            accuracy=[0.5, 0.8, 0.95, 0.99],
            val_accuracy=[0.5, 0.77, 0.78, 0.78],
        ),
        classes=10,
    )
    assert (verdict.fit, verdict.from_epoch) == ("overfitting", 3)


def test_curves_that_still_fall_underfit():
    """When the last epochs still lower the loss a lot, more epochs are advised."""
    verdict = diagnose(history(loss=[2.0, 1.5, 1.1, 0.8], val_loss=[2.0, 1.5, 1.1, 0.8]), classes=10)
    assert verdict.fit == "underfitting"
    assert "more epochs" in verdict.advice


def test_a_high_plateau_underfits():
    """When the loss has settled near what guessing gives, a larger network is advised."""
    verdict = diagnose(history(loss=[1.9] * 8, val_loss=[1.9] * 8), classes=10)
    assert verdict.fit == "underfitting"
    assert "larger network" in verdict.advice


def test_small_numbers_are_not_read_into():
    """On easy data a tenth of next to nothing, up or down, is noise."""
    for last in (0.010, 0.014):
        assert diagnose(history(loss=[0.5, 0.02, 0.01], val_loss=[0.5, 0.012, last]), classes=10).fit == "good fit"


@pytest.mark.parametrize("losses", [[2.2, 1.0, 9.0], [14.5, 14.6, 14.5]])
def test_divergence_is_seen(losses: list[float]):
    """A loss that ends worse than guessing after having been better, or stays far above, is divergence."""
    assert diagnose(history(loss=losses, val_loss=losses), classes=10).fit == "diverged"


def test_what_the_loop_says_counts():
    """Where the loss stopped being a number, good earlier epochs do not change the verdict."""
    assert diagnose(history(loss=[1.0, 0.5], val_loss=[1.0, 0.5]), classes=10, diverged=True).fit == "diverged"


def test_without_validation_nothing_is_judged():
    """Without validation data the verdict says that it cannot be had."""
    verdict = diagnose(history(loss=[1.0, 0.5]), classes=10)
    assert verdict.fit == "not judged"
    assert verdict.stop_epoch is None
    assert "went from 1.0000 to 0.5000" in verdict.sentence
    assert "training loss was 0.7000." in diagnose(history(loss=[0.7]), classes=10).sentence


def test_a_rise_over_a_flat_training_loss_is_overfitting():
    """Validation loss that more than doubles is no good fit, though dropout keeps the training loss from falling."""
    verdict = diagnose(history(loss=[0.5, 0.4, 0.41, 0.405], val_loss=[0.3, 0.25, 0.4, 0.6]), classes=10)
    assert (verdict.fit, verdict.from_epoch) == ("overfitting", 3)


def test_both_losses_rising_is_not_overfitting():
    """Where training loss rises too, the training is unstable: a lower learning rate is advised."""
    verdict = diagnose(history(loss=[0.5, 0.3, 0.6], val_loss=[0.4, 0.25, 0.6]), classes=10)
    assert verdict.fit == "not judged"
    assert "learning rate" in verdict.advice


def test_stopped_in_the_first_epoch_is_not_divergence():
    """No epoch at all is divergence only where the loop says so."""
    assert diagnose(History(), classes=10).fit == "not judged"
    assert diagnose(History(), classes=10, diverged=True).fit == "diverged"


def test_one_epoch_is_not_judged():
    """A single point is no curve; its figures are told all the same."""
    verdict = diagnose(history(loss=[0.5], val_loss=[0.4]), classes=10)
    assert verdict.fit == "not judged"
    assert "0.4000" in verdict.sentence


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_prefix_has_a_verdict(name: str):
    """However early training stops, there is a verdict, and its numbers are numbers."""
    columns = PUBLISHED[name]
    for epochs in range(1, len(columns["loss"]) + 1):
        verdict = diagnose(history(**{key: values[:epochs] for key, values in columns.items()}), classes=10)
        assert verdict.stop_epoch is not None
        assert 1 <= verdict.stop_epoch <= epochs
        assert verdict.loss_gap is not None
        assert math.isfinite(verdict.loss_gap)
