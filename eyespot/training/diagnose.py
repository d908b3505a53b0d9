"""The verdict: what the learning curves say about the fit, in words, with the numbers they rest on.

The thresholds are this project's own, set so that curves published with a verdict (the Fashion-MNIST CNN with and
without dropout) get the same one here; each is a constant below.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from eyespot.training.history import History

CLOSE_TO_LOWEST = 1.02  # stop at the first epoch whose validation loss is within 2 % of the lowest
RISE = 1.10  # overfitting: validation loss ends 10 % above its lowest, and training loss has not risen with it
ACCURACY_GAP = 0.05  # overfitting: training accuracy ends 5 points above validation accuracy
STILL_FALLING = 0.90  # underfitting: the last quarter of the epochs lowered the validation loss by 10 % or more
NOTICEABLE = 0.01  # either change is at least a hundredth of guessing's loss: 10 % of next to nothing is noise
HIGH_LOSS = 0.25  # underfitting: the losses end above a quarter of what guessing gives, ln(classes)

Fit = Literal["underfitting", "good fit", "overfitting", "diverged", "not judged"]


@dataclass(frozen=True)
class Verdict:
    """A judgement of one training's curves.

    Attributes:
        fit: the judgement in one or two words.
        sentence: it in full, with its numbers.
        advice: what to try next.
        stop_epoch: the epoch to stop at (from 1): the first with a validation loss within 2 % of the lowest.
        best_epoch: the epoch of the lowest validation loss.
        from_epoch: where overfitting starts: from this epoch on, validation loss stays more than 2 % above its lowest
            (or training accuracy 5 points above validation accuracy).
        loss_gap: validation loss minus training loss, at the end.
        accuracy_gap: training accuracy minus validation accuracy, at the end, as a fraction.
    """

    fit: Fit
    sentence: str
    advice: str
    stop_epoch: int | None = None
    best_epoch: int | None = None
    from_epoch: int | None = None
    loss_gap: float | None = None
    accuracy_gap: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def diagnose(history: History, classes: int, *, diverged: bool = False) -> Verdict:
    """Judges the curves.

    Args:
        history: at least `loss` and `accuracy` an epoch; without `val_loss`, or with less than two epochs, only
            divergence can be told.
        classes: how many there are; ln(classes) is the loss of guessing.
        diverged: the loss stopped being a number.
    """
    train = history.column("loss")
    if not train and not diverged:
        told = "The training was stopped within its first epoch: there is no curve yet to judge the fit by."
        return Verdict("not judged", told, "Train for more epochs.")
    if diverged or _worse_than_guessing(train, classes):
        return _diverged(train, classes)
    validation = history.column("val_loss")
    if not validation:
        course = f"went from {train[0]:.4f} to {train[-1]:.4f}" if len(train) > 1 else f"was {train[0]:.4f}"
        told = f"Without validation data the fit cannot be judged; training loss {course}."
        return Verdict("not judged", told, "Set validation data aside (split method 'fraction').")
    return _judge(history, train, validation, classes)


def _judge(history: History, train: list[float], validation: list[float], classes: int) -> Verdict:
    lowest, guessing = min(validation), math.log(classes)
    best = validation.index(lowest) + 1
    stop = next(epoch for epoch, loss in enumerate(validation, start=1) if loss <= lowest * CLOSE_TO_LOWEST)
    gaps = [fit - held for fit, held in zip(history.column("accuracy"), history.column("val_accuracy"), strict=False)]

    def verdict(fit: Fit, told: str, advice: str, from_epoch: int | None = None) -> Verdict:
        sentence = f"{told}: validation loss was lowest, {lowest:.4f}, in epoch {best}{_ended(history)}."
        loss_gap, accuracy_gap = validation[-1] - train[-1], gaps[-1] if gaps else None
        return Verdict(fit, sentence, advice, stop, best, from_epoch, loss_gap, accuracy_gap)

    if len(validation) == 1:
        return verdict("not judged", "One epoch is too short a curve to judge the fit by", "Train for more epochs.")

    rise = validation[-1] - lowest
    has_risen = validation[-1] > lowest * RISE and rise > NOTICEABLE * guessing
    if has_risen and train[-1] > train[best - 1] * RISE:
        told = "Not judged, the training is unstable and both losses have risen"
        return verdict("not judged", told, "Lower the learning rate; what was best is kept.")
    if has_risen:
        start = 1 + _last(loss <= lowest * CLOSE_TO_LOWEST for loss in validation)
    elif gaps and gaps[-1] > ACCURACY_GAP:
        start = 1 + _last(gap <= ACCURACY_GAP for gap in gaps)
    else:
        start = None
    if start is not None:
        advice = f"Stop at epoch {stop} (early stopping does), or add dropout, augmentation or more pictures."
        return verdict("overfitting", f"Overfitting from epoch {start}", advice, start)

    quarter = max(1, len(validation) // 4)
    earlier = validation[:-quarter]
    if earlier and lowest < min(min(earlier) * STILL_FALLING, min(earlier) - NOTICEABLE * guessing):
        fall = f"{1 - lowest / min(earlier):.0%}"
        told = f"Underfitting, the last {_epochs(quarter)} still lowered validation loss by {fall}"
        return verdict("underfitting", told, "Train for more epochs, or with a higher learning rate.")
    if min(train[-1], validation[-1]) > HIGH_LOSS * guessing:
        told = f"Underfitting, the network does not fit what it was shown (guessing gives a loss of {guessing:.2f})"
        advice = "Use a larger network or less dropout; check that pixels are rescaled and that labels are right."
        return verdict("underfitting", told, advice)
    shorter = f"Epoch {stop} is within 2 % of the lowest: a shorter training would do."
    return verdict("good fit", "Good fit", shorter if stop < len(validation) else "More epochs may gain a little.")


def _worse_than_guessing(train: list[float], classes: int) -> bool:
    """Whether training loss was better and fell behind guessing, or has stayed far behind it."""
    guessing = math.log(classes)
    return train[-1] > max(guessing, 2 * min(train)) or (len(train) > 1 and train[-1] > 2 * guessing)


def _diverged(train: list[float], classes: int) -> Verdict:
    if train:
        told = (
            f"training loss went from {train[0]:.4f} to {train[-1]:.4f}, where guessing gives {math.log(classes):.4f}"
        )
    else:
        told = "the loss stopped being a number in the first epoch"
    return Verdict("diverged", f"Diverged: {told}.", "Lower the learning rate, and check that pixels are rescaled.")


def _ended(history: History) -> str:
    """The last epoch's figures, training beside validation."""
    last = history.rows[-1]
    text = f"; at the end training loss was {last['loss']:.4f} against {last['val_loss']:.4f} in validation"
    if "accuracy" in last and "val_accuracy" in last:
        text += f", training accuracy {last['accuracy']:.2%} against {last['val_accuracy']:.2%}"
    return text


def _last(flags: Iterable[bool]) -> int:
    """The last epoch (from 1) of which it is true; 0 for none."""
    return max((epoch for epoch, flag in enumerate(flags, start=1) if flag), default=0)


def _epochs(count: int) -> str:
    return "epoch" if count == 1 else f"{count} epochs"
