"""Where a training is: everything that the next step depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, ValidationError

from eyespot.engine.steps import Mean
from eyespot.errors import CheckpointError
from eyespot.training.history import History

Weights = list[np.ndarray]

CURRENT, OPTIMIZER, LAST, BEST, LOSSES = "weights", "optimizer", "last", "best", "validation_losses"


class Position(BaseModel):
    """What a state holds besides arrays, as plain values.

    Orders, masks and all else that is drawn are functions of the seed and the number of an epoch or a step (`seeds`):
    these counters are the state of every generator.

    Attributes:
        seed: of the training.
        epochs_done: with their validation.
        steps_done: in the epoch after these.
        first_step: number of the first of them in the whole training.
        pictures, loss_sum, right: the mean over these steps.
        seconds: that they took.
        history: of the epochs done.
        best_epoch: of the lowest validation loss so far; None where there is none.
        best_loss: that loss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: NonNegativeInt
    epochs_done: NonNegativeInt
    steps_done: NonNegativeInt
    first_step: NonNegativeInt
    pictures: NonNegativeInt = 0
    loss_sum: float = 0.0
    right: NonNegativeFloat = 0.0
    seconds: NonNegativeFloat = 0.0
    history: list[dict[str, int | float]] = []  # `epoch` stays a whole number
    best_epoch: NonNegativeInt | None = None
    best_loss: float | None = Field(default=None)

    @property
    def mean(self) -> Mean:
        """Of the steps done in the epoch under way."""
        return Mean(self.pictures, self.loss_sum, self.right)


@dataclass(frozen=True)
class TrainingState:
    """A training after some step.

    Attributes:
        weights: of the model.
        optimizer: its variables: the step count, the learning rate, slots, averages of the weights.
        last: the weights to keep after `epochs_done` epochs: averaged, where the recipe averages.
        best: those of `best_epoch`, where the recipe keeps the best.
        validation_losses: loss of each validation image, an array an epoch; none in checkpoints of eyespot 0.1.
    """

    position: Position
    weights: Weights
    optimizer: Weights
    last: Weights
    best: Weights | None = None
    validation_losses: Weights = field(default_factory=list)

    @property
    def steps(self) -> int:
        """In the whole training."""
        return self.position.first_step + self.position.steps_done

    @property
    def epochs(self) -> float:
        """Those done, and the share of the one under way."""
        steps_an_epoch = self.position.first_step / self.position.epochs_done if self.position.epochs_done else 0
        return self.position.epochs_done + (self.position.steps_done / steps_an_epoch if steps_an_epoch else 0)

    @property
    def history(self) -> History:
        """Of the epochs done."""
        return History(list(self.position.history))

    def parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Plain values and arrays by name; what is equal to another set of weights is not stored again."""
        stored = {CURRENT: self.weights, OPTIMIZER: self.optimizer, LOSSES: self.validation_losses}
        same: dict[str, str] = {}
        for name, weights, like in ((LAST, self.last, CURRENT), (BEST, self.best, LAST)):
            if weights is None:
                continue
            source = same.get(like, like)
            if _equal(weights, stored[source]):
                same[name] = source
            else:
                stored[name] = weights
        arrays = {f"{name}/{place}": array for name, arrays in stored.items() for place, array in enumerate(arrays)}
        return {"position": self.position.model_dump(), "same": same}, arrays

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray], where: object) -> "TrainingState":
        """The state again.

        Args:
            where: what it was read from, for the error.

        Raises:
            CheckpointError: something is missing or not what it should be.
        """
        sets: dict[str, dict[int, np.ndarray]] = {CURRENT: {}, OPTIMIZER: {}, LOSSES: {}}
        try:
            for name, array in arrays.items():
                part, _, place = name.partition("/")
                sets.setdefault(part, {})[int(place)] = array
            ordered = {name: [numbered[place] for place in range(len(numbered))] for name, numbered in sets.items()}
            ordered |= {name: ordered[source] for name, source in dict(values["same"]).items()}
            position = Position.model_validate(values["position"])
            return cls(
                position, ordered[CURRENT], ordered[OPTIMIZER], ordered[LAST], ordered.get(BEST), ordered[LOSSES]
            )
        except (KeyError, ValueError, TypeError, ValidationError) as error:
            raise CheckpointError(f"The checkpoint {where} is damaged: {error}.") from None


def _equal(some: Weights, others: Weights) -> bool:
    """Bit for bit, which is not what == says of -0 and NaN."""
    return len(some) == len(others) and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(some, others, strict=True)
    )
