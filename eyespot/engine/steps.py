"""Steps of a training by number: batches of a data set, learnt one after the other, and their means so far."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from eyespot.data.dataset import Split
from eyespot.engine.feed import Feed
from eyespot.engine.program import LoweredProgram
from eyespot.shapes import Int64

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Epoch:
    """Once through a split.

    Attributes:
        order: its rows in the order they are learnt.
        first: number of its first step in the whole training, from 0.
    """

    split: Split
    order: Int64[np.ndarray, " rows"]
    batch_size: int
    first: int

    @property
    def steps(self) -> int:
        """The last may have a smaller batch."""
        return math.ceil(len(self.order) / self.batch_size)

    def rows(self, index: int) -> Int64[np.ndarray, " batch"]:
        """Of one step of the epoch, from 0."""
        return self.order[index * self.batch_size : (index + 1) * self.batch_size]


@dataclass
class Mean:
    """Mean loss and accuracy over pictures, in batches of different sizes; NaN before the first."""

    pictures: int = 0
    loss_sum: float = 0.0
    right: float = 0.0

    def add(self, loss: float, accuracy: float, pictures: int) -> None:
        """Takes in a batch's means."""
        self.pictures += pictures
        self.loss_sum += loss * pictures
        self.right += accuracy * pictures

    @property
    def loss(self) -> float:
        """In nats."""
        return self.loss_sum / self.pictures if self.pictures else math.nan

    @property
    def accuracy(self) -> float:
        """A fraction."""
        return self.right / self.pictures if self.pictures else math.nan


@runtime_checkable
class Steps(Protocol):
    """What runs the steps of a program.

    Attributes:
        rest: seconds that should pass between two looks at `mean`, which waits for the steps under way.
    """

    rest: float

    def begin(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch.

        Args:
            mean: over the steps of it that have been made before.
        """

    def run(self, index: int) -> None:
        """One update, by the epoch's batch of that number, from 0."""

    def mean(self) -> Mean:
        """Over the batches since the epoch began, each measured before its update."""

    def logits(self, split: Split) -> Tensor:
        """Of a split [n, classes], without dropout and without updates."""


class HostSteps:
    """On the processor: pictures are gathered for a step when it comes."""

    rest = 0.0

    def __init__(self, program: LoweredProgram, feed: Feed | None = None) -> None:
        self.program = program
        self.feed = feed or Feed(program.seed)

    def begin(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch."""
        self._epoch, self._mean = epoch, mean

    def run(self, index: int) -> None:
        """One update."""
        rows, split = self._epoch.rows(index), self._epoch.split
        images, labels = (
            torch.from_numpy(array[rows]).to(self.program.device) for array in (split.images, split.labels)
        )
        number = self._epoch.first + index
        judged = self.program.learn_as(number, *self.feed.batch(images, labels, number))
        self._mean.add(float(judged.loss), float(judged.accuracy), len(rows))

    def mean(self) -> Mean:
        """Over the batches since the epoch began."""
        return self._mean

    def logits(self, split: Split) -> Tensor:
        """Of a split [n, classes], in inference form."""
        starts = range(0, len(split), EVALUATION_BATCH)
        return torch.cat([self.program.logits(split.images[start : start + EVALUATION_BATCH]) for start in starts])


def steps_for(program: LoweredProgram, feed: Feed | None = None) -> Steps:
    """Those for the device that a program's variables lie on.

    Args:
        feed: makes a batch what is learnt, on that device; None: batches are learnt as they are.
    """
    if program.device.type == "cuda":
        from eyespot.engine.steps_cuda import DeviceSteps

        return DeviceSteps(program, feed)
    return HostSteps(program, feed)
