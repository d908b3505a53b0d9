import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eyespot.training.diagnose import diagnose
from eyespot.training.history import History
from eyespot.training.validation_loss import Evidence, ImageResults
from eyespot.training.verdict import Verdict

PUBLISHED = yaml.safe_load((Path(__file__).parent / "published_curves.yaml").read_text())


MEMORISED = {  # training images fitted, validation loss flat
    "loss": [1.0, 0.5, 0.2, 0.1, 0.07, 0.06, 0.05, 0.05],
    "val_loss": [1.0, 0.82, 0.79, 0.78, 0.79, 0.78, 0.79, 0.78],
    "accuracy": [0.5, 0.8, 0.95, 0.97, 0.98, 0.98, 0.99, 0.99],
    "val_accuracy": [0.5, 0.77, 0.78, 0.78, 0.78, 0.78, 0.78, 0.78],
}


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


def test_a_wide_gap_over_a_flat_validation_loss_is_neither():
    """Training accuracy far above validation accuracy is no good fit, and without a rise no overfitting."""
    verdict = diagnose(history(**MEMORISED), classes=10)
    assert verdict.fit == "not judged"
    assert "0.2100 above validation accuracy" in verdict.sentence


def test_curves_that_still_fall_underfit():
    """When the last epochs still lower the loss a lot, more epochs are advised."""
    verdict = diagnose(history(loss=[2.0, 1.5, 1.1, 0.8], val_loss=[2.0, 1.5, 1.1, 0.8]), classes=10)
    assert verdict.fit == "underfitting"
    assert "more epochs" in verdict.advice


def test_a_high_plateau_underfits():
    """When the loss has settled near what guessing gives, a larger network is advised."""
    verdict = diagnose(history(loss=[1.9] * 8, val_loss=[1.9] * 8), classes=10)
    assert verdict.fit == "underfitting"
    assert "another network" in verdict.advice


def test_small_numbers_are_not_read_into():
    """On easy data a tenth of next to nothing, up or down, is noise."""
    for last in (0.010, 0.014):
        validation = [0.5, 0.1, 0.02, 0.012, 0.012, 0.013, 0.012, last]
        assert diagnose(history(loss=validation, val_loss=validation), classes=10).fit == "good fit"


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
    verdict = diagnose(
        history(
            loss=[0.5, 0.4, 0.41, 0.405, 0.4, 0.4, 0.41, 0.4],
            val_loss=[0.3, 0.25, 0.3, 0.36, 0.41, 0.47, 0.54, 0.6],
        ),
        classes=10,
    )
    assert (verdict.fit, verdict.from_epoch) == ("overfitting", 3)


def test_both_losses_rising_is_not_overfitting():
    """Where training loss rises too, the training is unstable: a lower learning rate is advised."""
    rising = [0.5, 0.3, 0.31, 0.36, 0.41, 0.47, 0.54, 0.6]
    verdict = diagnose(history(loss=rising, val_loss=[loss + 0.05 for loss in rising]), classes=10)
    assert verdict.fit == "not judged"
    assert "learning rate" in verdict.advice


@pytest.mark.parametrize("val_loss", [[0.4, 0.5], [0.34, 0.31]], ids=["rising", "falling"])
def test_two_epochs_are_too_few(val_loss: list[float]):
    """From two epochs nobody can tell how much the loss fluctuates, and the sentence says so."""
    verdict = diagnose(history(loss=[0.5, 0.3], val_loss=val_loss), classes=10, validation_images=6000)
    assert verdict.fit == "not judged"
    assert "2 epochs are too few" in verdict.sentence


@pytest.mark.parametrize("val_loss", [[1.53, 0.45, 0.24], [1.53, 0.45, 0.24, 0.17, 0.13], [0.9, 0.5, 0.4, 0.36]])
def test_a_short_smooth_fall_does_not_fluctuate(val_loss: list[float]):
    """A loss that falls in every epoch, steeply first, is no reason for a lower learning rate."""
    verdict = diagnose(history(loss=val_loss, val_loss=val_loss), classes=10, validation_images=144)
    assert verdict.fit == "not judged"
    assert f"fell in every epoch: {len(val_loss)} epochs are too few" in verdict.sentence
    assert verdict.advice == "Train for more epochs."


def test_a_short_course_that_goes_up_and_down_is_too_short():
    """Four epochs that rise and fall do not show how much the loss fluctuates."""
    verdict = diagnose(history(loss=[0.5] * 4, val_loss=[0.5, 0.31, 0.36, 0.33]), classes=10, validation_images=6000)
    assert verdict.fit == "not judged"
    assert "4 epochs are too few to tell how much validation loss fluctuates" in verdict.sentence


def test_a_rise_of_a_few_epochs_is_no_close_call():
    """Two epochs above the first may be chance: more epochs are asked for, and the word is not that it is close."""
    verdict = diagnose(
        history(loss=[0.12, 0.09, 0.06], val_loss=[0.1525, 0.1784, 0.2306]), classes=10, validation_images=5_000
    )
    assert verdict.fit == "not judged"
    assert "but the epochs after the lowest are too few to tell a rise from chance" in verdict.sentence
    assert verdict.advice == "Train for more epochs."
    assert verdict.needs_more_epochs


def test_the_advice_names_the_learning_rate():
    """What is higher than that is tried; a curve that levelled off asks for no more epochs."""
    falling = [2.0, 1.6, 1.3, 1.1, 0.9, 0.75, 0.62, 0.5]
    verdict = diagnose(history(loss=falling, val_loss=falling, learning_rate=[0.0003] * 8), classes=10)
    assert verdict.advice == "Train for more epochs, or with a learning rate above 0.0003."
    assert verdict.needs_more_epochs
    assert not diagnose(history(loss=[0.4] * 12, val_loss=[0.4] * 12), classes=10).needs_more_epochs


def test_a_long_course_that_goes_up_and_down_fluctuates():
    """Over many epochs, a loss that goes up and down is said to, and a lower learning rate is advised."""
    val_loss = [0.3 + 0.2 * (epoch % 2) for epoch in range(12)]
    verdict = diagnose(history(loss=[0.3] * 12, val_loss=val_loss), classes=10, validation_images=60_000)
    assert "fluctuates too much" in verdict.sentence
    assert "Lower the learning rate" in verdict.advice


FALLING = np.geomspace(1.0, 0.1, 10)
RISING = np.concatenate([np.geomspace(0.5, 0.2, 5), np.linspace(0.2, 0.6, 15)])
LEVEL = np.concatenate([np.geomspace(0.5, 0.2, 5), np.full(15, 0.2)])


def judged(means: np.ndarray, images: int, train: float = 0.02, **more: Any) -> Verdict:
    """The verdict on made-up losses of images, which spread as losses do: a few images have most of the loss."""
    generator = np.random.default_rng(0)
    lowest = means.min()
    falls, rises = generator.gamma(0.2, 5.0, (2, images))
    own = generator.gamma(4.0, 0.25, (len(means), images))
    losses = ((lowest * falls + (means[:, None] - lowest) * rises) * own).astype(np.float32)
    right = np.full(images, True)
    validation = ImageResults(losses[-1], right)
    of_train = ImageResults((train * generator.gamma(0.2, 5.0, 1_000)).astype(np.float32), np.full(1_000, True))
    evidence = Evidence(losses, of_train, validation, of_train, validation)
    columns = history(loss=[0.5] * len(means), val_loss=losses.mean(axis=1).tolist())
    return diagnose(columns, classes=10, evidence=evidence, **more)


def test_the_same_rise_is_overfitting_on_many_pictures_and_unknown_on_few():
    """What 15 pictures cannot tell, 4,000 can; the verdict says how many would do."""
    few, many = judged(RISING, 15), judged(RISING, 4_000)
    assert few.fit == "not enough validation pictures to tell"
    assert few.images_needed is not None
    assert few.images_needed > 15
    assert f"About {few.images_needed:,} validation images" in few.advice
    assert many.fit == "overfitting"
    assert many.from_epoch == pytest.approx(6, abs=1)
    assert many.rise_p_value is not None
    assert many.rise_p_value < 0.001


def test_a_good_fit_is_claimed_only_where_a_rise_is_ruled_out():
    """A level curve is a good fit on many pictures; on few, a rise may hide in it."""
    assert judged(LEVEL, 20_000, train=0.19).fit == "good fit"
    assert judged(LEVEL, 40, train=0.19).fit == "not enough validation pictures to tell"


def test_a_validation_loss_below_the_training_loss_is_not_overfitting():
    """The gap must have the right sign, measured as in prediction."""
    assert judged(RISING, 4_000, train=2.0).fit != "overfitting"


def test_underfitting_is_beyond_chance_too():
    """A fall is underfitting on many pictures, and unknown on a handful."""
    assert judged(FALLING, 4_000, train=0.1).fit == "underfitting"
    assert judged(FALLING, 6, train=0.1).fit != "underfitting"


def test_losses_that_are_all_the_same_are_judged():
    """A network that knows every training image, and a curve that does not move, give numbers and no warning."""
    level = judged(np.full(12, 0.2), 200, train=0.0)
    assert json.dumps(level.to_dict(), allow_nan=False)
    rising = judged(RISING, 4_000, train=0.0)
    assert rising.fit == "overfitting"
    flat = diagnose(history(loss=[0.3] * 8, val_loss=[0.3] * 8), classes=10)
    assert json.dumps(flat.to_dict(), allow_nan=False)


def test_the_headline_is_about_the_model_that_is_kept():
    """A model kept from before overfitting is not called overfitted; one kept from after it is."""
    before, after = judged(RISING, 4_000, kept_epoch=5), judged(RISING, 4_000, kept_epoch=20)
    assert before.fit == after.fit == "overfitting"
    assert before.headline == "Kept from before overfitting (epoch 5 is kept)."
    assert after.headline == "Overfitting (epoch 20 is kept)."


def test_a_verdict_survives_json():
    """What is written into a run is read again, also with keys of another version."""
    verdict = judged(RISING, 4_000, kept_epoch=5)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict())) | {"newer": 1}) == verdict
    old = {"fit": "good fit", "sentence": "Good fit.", "advice": "", "stop_epoch": 1}
    assert Verdict.from_dict(old).headline == "Good fit."


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
