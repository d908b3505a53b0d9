"""diagnose: what a training's course says about the fit, in words, with the numbers they rest on.

Each word is a claim, and is made only where it is beyond chance (`SIGNIFICANT`) and large enough to matter (`RISE`,
`FALL`, `NOTICEABLE`). What chance does is in `validation_loss`; `tests/slow/test_verdict.py` measures how often the
verdict errs, over hundreds of trainings. How large a change matters is this project's own choice.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import norm, sem

from eyespot.training.history import History
from eyespot.training.validation_loss import WINDOW, Estimate, Evidence, ValidationCurve
from eyespot.training.verdict import TOO_FEW, Fit, Verdict

MORE_EPOCHS = "Train for more epochs."
AS_IN_PREDICTION = "Measured as in prediction (without dropout and augmentation)"
SIGNIFICANT = 0.05  # probability of claiming what is not so
POWER = 0.80  # probability of finding a change that matters, with as many images as the verdict asks for
CLOSE_TO_LOWEST = 1.02  # stop at the first epoch whose validation loss is within 2 % of the lowest
RISE = 0.10  # overfitting: validation loss has risen by a tenth of its lowest
FALL = 0.10  # underfitting: the last quarter of the epochs lowered validation loss by a tenth
NOTICEABLE = 0.01  # either change is at least a hundredth of guessing's loss: a tenth of next to nothing is nothing
ACCURACY_GAP = 0.05  # no good fit: training accuracy ends 5 points above validation accuracy
MOST_MORE = 100  # times as many images as there are: more than that is no advice
FEWEST_TO_RISE = 4  # epochs after the lowest, whose order can be beyond chance: 1 in 4! is below SIGNIFICANT
HIGH_LOSS = 0.25  # underfitting: the losses end above a quarter of what guessing gives, ln(classes)


def diagnose(  # noqa: PLR0913 - what is known of a training
    history: History,
    classes: int,
    *,
    diverged: bool = False,
    evidence: Evidence | None = None,
    validation_images: int | None = None,
    kept_epoch: int | None = None,
) -> Verdict:
    """Judges a training.

    Args:
        history: at least `loss` and `accuracy` an epoch; without `val_loss`, or with less than two epochs, only
            divergence can be detected.
        classes: how many there are; ln(classes) is the loss of guessing.
        diverged: the loss stopped being a number.
        evidence: losses of single images; None: the verdict rests on the curves, and assumes how losses spread.
        validation_images: how many the curves are means of, where there is no evidence; None: unknown, and chance is
            then the jumping of epochs alone.
        kept_epoch: the epoch whose weights the model has.
    """
    train = history.column("loss")
    if not train and not diverged:
        sentence = "The training was stopped within its first epoch: there is no curve yet to judge the fit by."
        return Verdict("not judged", sentence, MORE_EPOCHS, kept_epoch=kept_epoch, needs_more_epochs=True)
    if diverged or _worse_than_guessing(train, classes):
        return _diverged(train, classes, kept_epoch)
    if not history.column("val_loss"):
        course = f"went from {train[0]:.4f} to {train[-1]:.4f}" if len(train) > 1 else f"was {train[0]:.4f}"
        sentence = f"Without validation data the fit cannot be judged; training loss {course}."
        advice = "Set validation data aside (split method 'fraction')."
        return Verdict("not judged", sentence, advice, kept_epoch=kept_epoch)
    return _Course(history, classes, evidence, validation_images, kept_epoch).verdict()


def _worse_than_guessing(train: list[float], classes: int) -> bool:
    """Whether training loss was better and fell behind guessing, or has stayed far behind it."""
    guessing = math.log(classes)
    return train[-1] > max(guessing, 2 * min(train)) or (len(train) > 1 and train[-1] > 2 * guessing)


def _diverged(train: list[float], classes: int, kept_epoch: int | None) -> Verdict:
    if train:
        course = (
            f"training loss went from {train[0]:.4f} to {train[-1]:.4f}, where guessing gives {math.log(classes):.4f}"
        )
    else:
        course = "the loss stopped being a number in the first epoch"
    advice = "Lower the learning rate, and check that pixels are rescaled."
    return Verdict("diverged", f"Diverged: {course}.", advice, kept_epoch=kept_epoch)


class _Course:
    """A training's course, and what can be claimed of it; arguments as of `diagnose`."""

    def __init__(
        self,
        history: History,
        classes: int,
        evidence: Evidence | None,
        validation_images: int | None,
        kept_epoch: int | None,
    ) -> None:
        self.history, self.evidence, self.kept_epoch = history, evidence, kept_epoch
        self.train, self.losses = history.column("loss"), history.column("val_loss")
        by_image = None if evidence is None else evidence.validation_losses
        self.curve = curve = ValidationCurve(self.losses, by_image, validation_images)
        self.guessing = math.log(classes)
        self.earlier = curve.before(max(curve.width, len(self.losses) // 4)) or slice(0, curve.width)
        self.fall = curve.change(curve.last, self.earlier)

    def verdict(self) -> Verdict:
        """The first word that is true beyond chance."""
        if len(self.losses) == 1:
            sentence = f"One epoch is too short a course to judge the fit by. {self._end()}."
            return self._unfinished("not judged", sentence)
        if self._has_risen and self._training_loss_has_risen:
            sentence = f"Not judged, the training is unstable. {self._changed()}, and training loss rose too."
            return self._verdict("not judged", sentence, "Lower the learning rate; what was best is kept.")
        if self._has_risen and self._lies_above_training:
            return self._overfitting()
        if self._has_fallen:
            sentence = f"Underfitting, the training was still getting better. {self._fell()}. {self._end()}."
            return self._unfinished("underfitting", sentence, self._or_a_higher_rate)
        if self._ending.bound(1 - SIGNIFICANT) > HIGH_LOSS * self.guessing:
            sentence = (
                f"Underfitting, the network does not fit its training images (guessing gives a loss of "
                f"{self.guessing:.2f}). {self._end()}."
            )
            advice = "Train for more epochs, with another learning rate, another network or less dropout."
            return self._unfinished("underfitting", sentence, f"{advice} Check that labels are right.")
        doubt = next((claim for claim in self._claims() if claim.figure.bound(SIGNIFICANT) >= claim.limit), None)
        return self._good_fit() if doubt is None else self._in_doubt(doubt)

    @property
    def _has_risen(self) -> bool:
        """Whether validation loss rose from its lowest by what matters, beyond chance."""
        return self.curve.rise.value >= self._matters(self.curve.lowest, RISE) and self.curve.rise_p_value < SIGNIFICANT

    @property
    def _training_loss_has_risen(self) -> bool:
        train, curve = np.array(self.train), self.curve
        return bool(train[curve.last].mean() > (1 + RISE) * train[curve.lowest].mean())

    @property
    def _lies_above_training(self) -> bool:
        """Whether validation loss ends above training loss; beyond chance where single images are known."""
        if self.evidence is None:
            return self.losses[-1] > self.train[-1]
        validation, train = self.evidence.validation.losses, self.evidence.train.losses
        error = math.hypot(float(sem(validation)), float(sem(train)))
        gap = Estimate(float(validation.mean() - train.mean()), error, freedom=min(len(validation), len(train)) - 1)
        return gap.p_value() < SIGNIFICANT

    @property
    def _has_fallen(self) -> bool:
        """Whether the last quarter of the epochs lowered validation loss by what matters, beyond chance."""
        return self.fall.value >= self._matters(self.earlier, FALL) and self.fall.p_value() < SIGNIFICANT

    @property
    def _ending(self) -> Estimate:
        """The lower one of training and validation loss at the end."""
        if self.evidence is None:
            return Estimate(min(self.train[-1], self.losses[-1]))
        ends = (self.evidence.train.losses, self.evidence.validation.losses)
        return min((Estimate(float(end.mean()), float(sem(end))) for end in ends), key=lambda end: end.value)

    @property
    def _gap(self) -> Estimate:
        """Training accuracy minus validation accuracy at the end (Agresti and Caffo 2000, Am. Statistician 54:280)."""
        if self.evidence is None:
            pairs = zip(self.history.column("accuracy"), self.history.column("val_accuracy"), strict=False)
            return Estimate(
                next(
                    (
                        train_accuracy - validation_accuracy
                        for train_accuracy, validation_accuracy in reversed(list(pairs))
                    ),
                    0.0,
                )
            )
        train, validation = self.evidence.train, self.evidence.validation
        variance = 0.0
        for correct in (train.right, validation.right):
            share = (correct.sum() + 1) / (len(correct) + 2)
            variance += share * (1 - share) / (len(correct) + 2)
        return Estimate(train.accuracy - validation.accuracy, math.sqrt(variance))

    def _matters(self, window: slice, share: float) -> float:
        """The smallest change of validation loss from a window's that matters, in nats."""
        return max(share * self.curve.mean(window), NOTICEABLE * self.guessing)

    def _claims(self) -> list["_Claim"]:
        """What a good fit is: no rise, no fall, no wide gap and no high loss."""
        gap, ending, choices = self._gap, self._ending, self.curve.choices
        return [
            _Claim("overfitting", self._changed(), self.curve.rise, self._matters(self.curve.lowest, RISE), choices),
            _Claim("underfitting", self._fell(), self.fall, self._matters(self.earlier, FALL)),
            _Claim(
                "overfitting", f"Training accuracy ended {gap.value:.4f} above validation accuracy", gap, ACCURACY_GAP
            ),
            _Claim("underfitting", f"The loss ended at {ending.value:.4f}", ending, HIGH_LOSS * self.guessing),
        ]

    def _verdict(self, fit: Fit, sentence: str, advice: str, **more: Any) -> Verdict:
        curve, lowest = self.curve, min(self.losses)
        train, validation = self._ends
        kept_results = None if self.evidence is None else self.evidence.kept
        return Verdict(
            fit,
            sentence,
            advice,
            stop_epoch=next(e for e, loss in enumerate(self.losses, start=1) if loss <= lowest * CLOSE_TO_LOWEST),
            best_epoch=self.losses.index(lowest) + 1,
            kept_epoch=self.kept_epoch,
            loss_gap=validation - train,
            accuracy_gap=self._gap.value,
            rise=self.curve.rise.value,
            rise_error=self.curve.rise.error if math.isfinite(self.curve.rise.error) else None,
            rise_p_value=self.curve.rise_p_value,
            images=curve.images,
            kept_loss_gap=kept_results[1].loss - kept_results[0].loss if kept_results else None,
            kept_accuracy_gap=kept_results[0].accuracy - kept_results[1].accuracy if kept_results else None,
            **more,
        )

    def _unfinished(self, fit: Fit, sentence: str, advice: str = MORE_EPOCHS) -> Verdict:
        """The verdict on a training that is to go on."""
        return replace(self._verdict(fit, sentence, advice), needs_more_epochs=True)

    @property
    def _or_a_higher_rate(self) -> str:
        """The advice for a course that still falls, with the learning rate that it had."""
        rates = self.history.column("learning_rate")
        above = f"above {rates[0]:.2g}" if rates else "that is higher"
        return f"Train for more epochs, or with a learning rate {above}."

    def _overfitting(self) -> Verdict:
        curve, lowest = self.curve, min(self.losses)
        close_epochs = [
            e for e, loss in enumerate(self.losses[: curve.last.start], start=1) if loss <= lowest * CLOSE_TO_LOWEST
        ]
        start = max(close_epochs, default=0) + 1
        sentence = (
            f"Overfitting from epoch {start}: validation loss rose from {curve.mean(curve.lowest):.4f} "
            f"({_epochs(curve.lowest)}) to {curve.mean(curve.last):.4f} ({_epochs(curve.last)}), which chance does not "
            f"explain ({_p(self.curve.rise_p_value)}{self._of_images(', ')}). {self._end()}."
        )
        verdict = self._verdict("overfitting", sentence, "", from_epoch=start)
        stop = f"Stop at epoch {verdict.stop_epoch} (early stopping does)"
        return replace(verdict, advice=f"{stop}, or add dropout, augmentation or training images.")

    def _good_fit(self) -> Verdict:
        sentence = f"Good fit. {self._changed()}, and it no longer falls. {self._end()}."
        verdict = self._verdict("good fit", sentence, "More epochs may gain a little.")
        if verdict.stop_epoch is None or verdict.stop_epoch == len(self.losses):
            return verdict
        advice = f"Epoch {verdict.stop_epoch} is within 2 % of the lowest validation loss: a shorter training would do."
        return replace(verdict, advice=advice)

    def _in_doubt(self, claim: "_Claim") -> Verdict:
        """What keeps a claim from being made: few epochs, their jumping, few images, or a figure at its limit."""
        images, needed = self.curve.images, claim.images_needed(self.curve.images or 0)
        jumps_are_known = math.isfinite(self.curve.rise.epoch_error) and math.isfinite(claim.figure.epoch_error)
        if not jumps_are_known or (not math.isfinite(needed) and (self._is_short or self._falls_in_every_epoch)):
            return self._too_few_epochs()
        if claim.figure == self._gap and claim.figure.bound(1 - SIGNIFICANT) > ACCURACY_GAP:
            sentence = f"Not judged. {claim.text}, though validation loss has not risen. {self._end()}."
            advice = "Add training images, augmentation or dropout: the network has memorised its training images."
            return self._verdict("not judged", sentence, advice)
        later = len(self.losses) - 1 - self.losses.index(min(self.losses))
        if claim.figure == self.curve.rise and claim.figure.value >= claim.limit and later < FEWEST_TO_RISE:
            doubt = "but the epochs after the lowest are too few to tell a rise from chance"
            return self._unfinished("not judged", f"Not judged. {claim.text}, {doubt}. {self._end()}.")
        finding = f"{claim.text}, where {claim.limit:.4f} would matter"
        if not math.isfinite(needed):
            sentence = f"Not judged, validation loss fluctuates too much from epoch to epoch. {finding}. {self._end()}."
            return self._verdict("not judged", sentence, "Lower the learning rate, or average the weights.")
        if images is None or not images < needed < MOST_MORE * images:
            sentence = f"Not judged, a figure is too close to its limit. {finding}. {self._end()}."
            return self._verdict("not judged", sentence, "Repeat the training with other seeds (eyespot study).")
        number = _rounded_up(needed)
        sentence = f"Not enough validation images to tell {claim.fault} from a good fit. {finding}. {self._end()}."
        return self._verdict(TOO_FEW, sentence, f"About {number:,} validation images are enough.", images_needed=number)

    def _too_few_epochs(self) -> Verdict:
        """A course whose jumps are unknown: of few epochs, or so far only the bend of a falling curve."""
        epochs = f"{len(self.losses)} epochs are too few to tell"
        if self._falls_in_every_epoch:
            sentence = f"Not judged, validation loss fell in every epoch: {epochs} where it levels off. {self._end()}."
        else:
            sentence = f"Not judged, {epochs} how much validation loss fluctuates. {self._end()}."
        return self._unfinished("not judged", sentence)

    @property
    def _is_short(self) -> bool:
        """Whether single epochs are compared, for want of windows."""
        return len(self.losses) < 2 * WINDOW

    @property
    def _falls_in_every_epoch(self) -> bool:
        return all(later < earlier for earlier, later in pairwise(self.losses))

    @property
    def _ends(self) -> tuple[float, float]:
        """Training and validation loss at the end."""
        if self.evidence is None:
            return self.train[-1], self.losses[-1]
        return self.evidence.train.loss, self.evidence.validation.loss

    def _changed(self) -> str:
        """How validation loss went on from its lowest."""
        if self.curve.lowest == self.curve.last:
            return f"Validation loss is lowest at the end ({_epochs(self.curve.last)})"
        windows = f"From {_epochs(self.curve.lowest)} to {_epochs(self.curve.last)}"
        return f"{windows} validation loss changed by {self.curve.rise.value:+.4f} {self._with_error(self.curve.rise)}"

    def _fell(self) -> str:
        """How validation loss fell in the last quarter of the epochs."""
        windows = f"From {_epochs(self.earlier)} to {_epochs(self.curve.last)}"
        return f"{windows} validation loss changed by {-self.fall.value:+.4f} {self._with_error(self.fall)}"

    def _with_error(self, estimate: Estimate) -> str:
        return f"(standard error {estimate.error:.4f}{self._of_images(', ')})"

    def _end(self) -> str:
        """The last epoch's figures, training beside validation."""
        subject = "Training" if self.evidence is None else f"{AS_IN_PREDICTION}, training"
        text = "{} loss ended at {:.4f} and validation loss at {:.4f}".format(subject, *self._ends)
        if self.evidence is not None:
            accuracies = [self.evidence.train.accuracy, self.evidence.validation.accuracy]
        else:
            row = self.history.rows[-1]
            accuracies = [row[name] for name in ("accuracy", "val_accuracy") if name in row]
        if len(accuracies) < 2:  # noqa: PLR2004 - a history may have none
            return text
        return "{}, training accuracy at {:.2%} against {:.2%}".format(text, *accuracies)

    def _of_images(self, before: str) -> str:
        return "" if self.curve.images is None else f"{before}{self.curve.images:,} images"


@dataclass(frozen=True)
class _Claim:
    """A claim that a figure lies below its limit, which is what would matter.

    Attributes:
        fault: what the training has where it does not.
        text: the figure in words.
        choices: figures of which it is the highest.
    """

    fault: str
    text: str
    figure: Estimate
    limit: float
    choices: int = 1

    def images_needed(self, images: int) -> float:
        """Number of images that would show a figure as high as the limit or as this one; infinite if none would."""
        value, limit = self.figure.value, self.limit
        error = max(value, limit) / float(norm.isf(SIGNIFICANT / self.choices) + norm.ppf(POWER))
        if value < limit:  # and that this figure is below it
            error = min(error, (limit - value) / float(norm.isf(SIGNIFICANT)))
        variance = error**2 - self.figure.epoch_error**2
        return images * self.figure.image_error**2 / variance if variance > 0 else math.inf


def _epochs(window: slice) -> str:
    """The epochs of a window, from 1."""
    return f"epoch {window.stop}" if window.stop - window.start == 1 else f"epochs {window.start + 1}-{window.stop}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"  # noqa: PLR2004 - as it is printed


def _rounded_up(number: float) -> int:
    """A number rounded up to two digits."""
    unit = int(10 ** max(0, math.floor(math.log10(max(number, 1))) - 1))
    return math.ceil(number / unit) * unit
