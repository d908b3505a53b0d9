"""Verdict: a judgement of one training's course, in words and numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Fit = Literal[
    "underfitting", "good fit", "overfitting", "diverged", "not enough validation pictures to tell", "not judged"
]
BEFORE_OVERFITTING = "kept from before overfitting"
TOO_FEW: Fit = "not enough validation pictures to tell"  # as programs read it since 0.1, so its word stays


@dataclass(frozen=True)
class Verdict:
    """A judgement of one training's course.

    Losses and accuracies of training images are measured as in prediction (without dropout and augmentation) wherever
    the training recorded them; of a curve alone, they are those of the training steps.

    Attributes:
        fit: the judgement in a few words.
        sentence: it in full, with its numbers.
        advice: what to try next.
        stop_epoch: the epoch to stop at (from 1): the first with a validation loss within 2 % of the lowest.
        best_epoch: the epoch of the lowest validation loss.
        kept_epoch: the epoch whose weights the model has; None where that is not known.
        from_epoch: where overfitting starts: from this epoch on, validation loss stays more than 2 % above its lowest.
        loss_gap: validation loss minus training loss, at the end.
        accuracy_gap: training accuracy minus validation accuracy, at the end, as a fraction.
        kept_loss_gap, kept_accuracy_gap: the same gaps of the model that is kept; None where only the curves are known.
        rise: from the lowest mean validation loss over a fifth of the epochs to that over the last fifth, in nats.
        rise_error: standard error of `rise`, from the number of images and the jumping of epochs.
        rise_p_value: probability of this rise if other images had none, or if it were a jump: the larger of the two.
        images: number of validation images.
        images_needed: number that would show a rise that matters, with 80 % probability; None where `fit` is certain.
        needs_more_epochs: whether the advice is to train longer.
    """

    fit: Fit
    sentence: str
    advice: str
    stop_epoch: int | None = None
    best_epoch: int | None = None
    kept_epoch: int | None = None
    from_epoch: int | None = None
    loss_gap: float | None = None
    accuracy_gap: float | None = None
    kept_loss_gap: float | None = None
    kept_accuracy_gap: float | None = None
    rise: float | None = None
    rise_error: float | None = None
    rise_p_value: float | None = None
    images: int | None = None
    images_needed: int | None = None
    needs_more_epochs: bool = False

    @property
    def of_kept_model(self) -> str:
        """The judgement of the model that is kept: an overfitting that began later is not its own."""
        is_earlier = self.kept_epoch and self.from_epoch and self.kept_epoch < self.from_epoch
        return BEFORE_OVERFITTING if is_earlier else self.fit

    @property
    def is_of_a_later_epoch(self) -> bool:
        """Whether `fit` is that of the training's end, and not of the model that is kept."""
        return self.of_kept_model != self.fit

    @property
    def headline(self) -> str:
        """The judgement of the model that is kept, in one line."""
        note = f" (epoch {self.kept_epoch} is kept)" if self.kept_epoch else ""
        return f"{self.of_kept_model[0].upper()}{self.of_kept_model[1:]}{note}."

    def __str__(self) -> str:
        headline = self.headline if self.is_of_a_later_epoch else ""
        return " ".join(filter(None, (headline, self.sentence, self.advice)))

    def _repr_html_(self) -> str:
        """Return the verdict as a notebook shows it."""
        from eyespot.notebook import card, paragraph

        return card(self.headline, "", [paragraph(self.sentence), paragraph(self.advice)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"fit": self.fit, "headline": self.headline} | asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Verdict":
        """The verdict that `to_dict` gave, of this version or of another."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})
