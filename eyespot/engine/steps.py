"""Training steps by number, on the processor or a GPU: batches of a dataset, and their mean losses so far.

On a GPU, images, labels, the epoch's order, the keys of its random numbers, what it draws for its images and the
sums of losses are on the device. After some steps that run as they are, a step of a full batch is captured as a CUDA
graph; what changes from step to step, the batch, its draws and the two keys, is copied into its buffers. A smaller last
batch runs without the graph.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.data.augment.policy import Changes
from eyespot.data.augment.transforms import AugmentedBatch, DrawColumn, augment_batch, draw_step, heavier_first
from eyespot.data.dataset import Split
from eyespot.engine.kernels import kernels_for
from eyespot.engine.loss import Targets
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.stage import PassContext
from eyespot.random import step_keys
from eyespot.shapes import Float32, Int64

NOTHING = Changes()
AHEAD = 32  # steps
EVALUATION_BATCH = 500
DEVICE_EVALUATION_BATCH = 4096
WARM_UP = 3  # steps before one is captured: libraries choose their algorithms, kernels are compiled
RESIDENT_SHARE = 0.5  # of the free memory: a larger dataset stays outside, and its batches are sent over


class BatchMaker:
    """Makes batches of a training, on one device.

    Args:
        seed: of the training; what a step draws is a function of it and of the step's number.
        changes: of the images.
        class_weights: how much a row of each class counts in the loss; None: all the same.

    Attributes:
        changes: of the images.
    """

    def __init__(
        self,
        seed: int,
        changes: Changes = NOTHING,
        class_weights: Float32[np.ndarray, " classes"] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.seed, self.changes, self.device = seed, changes, device
        self._ahead: dict[tuple[int, int], np.ndarray] = {}
        self._augment = _by_numba if kernels_for(torch.device(device)) == "cpu" else augment_batch
        self.weights = None if class_weights is None else torch.tensor(class_weights, device=device)

    def draws(self, number: int, pictures: int) -> Tensor:
        """Random numbers of the step `number` for its images, float32 [images, columns], on the host."""
        if (number, pictures) not in self._ahead:
            # Several steps' at once: right after a step, which has filled the caches, one's take ten times as long.
            steps = range(number, number + AHEAD)
            self._ahead = {(step, pictures): draw_step(self.changes, self.seed, step, pictures) for step in steps}
        return torch.from_numpy(self._ahead[number, pictures])

    def change(self, images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor | Targets]:
        """Pictures and targets as they are learnt.

        Args:
            images, labels, draws: on the device.
        """
        others = shares = None
        if self.changes.any:
            changed = self._augment(images, labels, self.changes, draws)
            images, labels, others, shares = changed.images, changed.labels, changed.others, changed.shares
        if others is None and self.weights is None:
            return images, labels
        # As Keras weighs one-hot labels: by their largest entry.
        return images, Targets(labels, others, shares, None if self.weights is None else self.weights[labels])

    def batch(self, images: Tensor, labels: Tensor, number: int) -> tuple[Tensor, Tensor | Targets]:
        """Images and targets of a batch as they are learnt, with the draws of one step."""
        draws = self.draws(number, len(labels)).to(self.device) if self.changes.any else labels
        return self.change(images, labels, draws)


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
        """Rows of one step of the epoch, from 0."""
        return self.order[index * self.batch_size : (index + 1) * self.batch_size]


@dataclass
class Mean:
    """Mean loss and accuracy over images, in batches of different sizes; NaN before the first."""

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
        """Mean loss, in nats."""
        return self.loss_sum / self.pictures if self.pictures else math.nan

    @property
    def accuracy(self) -> float:
        """Mean accuracy, a fraction."""
        return self.right / self.pictures if self.pictures else math.nan


@runtime_checkable
class StepRunner(Protocol):
    """Runner of a program's steps.

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
        """Logits of a split [n, classes], without dropout and without updates."""


def step_runner_for(program: LoweredProgram, feed: BatchMaker | None = None) -> StepRunner:
    """The step runner for the device that a program's variables lie on.

    Args:
        feed: makes a batch what is learnt, on that device; None: batches are learnt as they are.
    """
    if program.device.type == "cuda":
        return DeviceStepRunner(program, feed)
    return HostStepRunner(program, feed)


def _by_numba(images: Tensor, labels: Tensor, changes: Changes, draws: Tensor) -> AugmentedBatch:
    """`augment_batch` on the processor."""
    from eyespot.engine.kernels.cpu import augment as kernel

    drawn, out = draws.numpy(), torch.empty_like(images)
    partners = drawn[:, DrawColumn.PARTNER].argsort(kind="stable")
    shares = np.empty(len(drawn), np.float32)
    kernel.augment(images.numpy(), drawn, partners, kernel.numbers_of(changes), out.numpy(), shares)
    if not changes.mixes:
        return AugmentedBatch(out, labels)
    return AugmentedBatch(out, *heavier_first(labels, labels[torch.from_numpy(partners)], torch.from_numpy(shares)))


class DeviceStepRunner:
    """Runs a program's steps where its variables lie."""

    rest = 0.1

    def __init__(self, program: LoweredProgram, feed: BatchMaker | None = None) -> None:
        self.program, self.device = program, program.device
        self.feed = feed or BatchMaker(program.seed)
        self.captures = self.device.type == "cuda" and _can_be_captured(program)
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self._keys = torch.zeros(2, dtype=torch.int64, device=self.device)
        self._step = PassContext(training=True, device_keys=self._keys)
        self._resident: dict[int, tuple[Split, tuple[Tensor, Tensor] | None]] = {}
        self._batch_size = 0

    def begin(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch."""
        self._epoch, self._learnt = epoch, mean.pictures
        self._pictures = self._laid(epoch.split)
        self._order = torch.from_numpy(epoch.order).to(self.device)
        keys = [step_keys(self.program.seed, epoch.first + index) for index in range(epoch.steps)]
        self._keys_of_steps = torch.tensor(keys, device=self.device)
        self._draws_of_rows = self._drawn(epoch)
        if epoch.batch_size != self._batch_size:
            self._batch_size, self._warmed = epoch.batch_size, 0
            self._graph: torch.cuda.CUDAGraph | None = None
            images = epoch.split.images
            shape, dtype = (epoch.batch_size, *images.shape[1:]), torch.from_numpy(np.empty(0, images.dtype)).dtype
            self._images = torch.empty(shape, dtype=dtype, device=self.device)
            self._labels = torch.empty(epoch.batch_size, dtype=torch.int64, device=self.device)
            self._draws = torch.empty_like(self._draws_of_rows[: epoch.batch_size])
        self._sums.copy_(torch.tensor([mean.loss_sum, mean.right], dtype=torch.float64))
        self.program.renew()

    def run(self, index: int) -> None:
        """One update; it may still be under way afterwards."""
        with self.program.turns.changing():  # a replayed step, too, changes the weights, and reads its buffers
            self._run(index)

    def _run(self, index: int) -> None:
        self._keys.copy_(self._keys_of_steps[index])
        self.program.seed_layers_of_keras(self._epoch.first + index)
        images, labels = self._batch(index)
        draws = self._draws_of_rows[index * self._batch_size : (index + 1) * self._batch_size]
        self._learnt += len(labels)
        if len(labels) < self._batch_size:
            self._learn(images, labels, draws)
            return
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._draws.copy_(draws)
        if self.captures and self._graph is None and self._warmed == WARM_UP:
            self._graph = torch.cuda.CUDAGraph()
            # Another thread's calls, which the capture would forbid by default, are no part of it.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._learn(self._images, self._labels, self._draws)
        if self._graph is None:
            self._learn(self._images, self._labels, self._draws)
            self._warmed += 1
        else:
            self._graph.replay()

    def mean(self) -> Mean:
        """Over the batches since the epoch began; waits for them."""
        return Mean(self._learnt, *self._sums.tolist())

    def logits(self, split: Split) -> Tensor:
        """Logits of a split [n, classes], in inference form; they may still be under way."""
        resident, parts = self._laid(split), []
        for start in range(0, len(split), DEVICE_EVALUATION_BATCH):
            rows = slice(start, start + DEVICE_EVALUATION_BATCH)
            parts.append(self.program.infer(resident[0][rows] if resident else self._sent(split, rows)[0]))
        return torch.cat(parts)

    def _learn(self, images: Tensor, labels: Tensor, draws: Tensor) -> None:
        result = self.program.learn(*self.feed.change(images, labels, draws), self._step)
        self._sums += torch.stack([result.loss, result.accuracy]) * len(labels)

    def _drawn(self, epoch: Epoch) -> Tensor:
        """Random numbers of an epoch's steps, a row an image in the epoch's order; no columns if nothing is drawn."""
        if not self.feed.changes.any:
            return torch.empty((len(epoch.order), 0), device=self.device)
        steps = [self.feed.draws(epoch.first + index, len(epoch.rows(index))) for index in range(epoch.steps)]
        return torch.cat(steps).to(self.device)

    def _batch(self, index: int) -> tuple[Tensor, Tensor]:
        if self._pictures is None:
            return self._sent(self._epoch.split, self._epoch.rows(index))
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        images, labels = self._pictures
        return images.index_select(0, rows), labels.index_select(0, rows)

    def _laid(self, split: Split) -> tuple[Tensor, Tensor] | None:
        """A split on the device, from the first use on; None where it takes too much room."""
        if id(split) not in self._resident:
            fits = self.device.type != "cuda" or split.images.nbytes < RESIDENT_SHARE * torch.cuda.mem_get_info()[0]
            self._resident[id(split)] = split, self._sent(split, slice(None)) if fits else None
        return self._resident[id(split)][1]

    def _sent(self, split: Split, rows: Any) -> tuple[Tensor, Tensor]:
        images, labels = split.images[rows], split.labels[rows]
        return torch.tensor(images, device=self.device), torch.tensor(labels, device=self.device)


def _can_be_captured(program: LoweredProgram) -> bool:
    """Whether nothing in a step needs the host: no layer and no optimizer that Keras runs, no schedule."""
    by_keras = program.leaves_layers_to_keras or program.optimizer_how == "Keras"
    return not by_keras and isinstance(program.model.optimizer.learning_rate, keras.Variable)


class HostStepRunner:
    """On the processor: images are gathered for a step when it comes."""

    rest = 0.0

    def __init__(self, program: LoweredProgram, feed: BatchMaker | None = None) -> None:
        self.program = program
        self.feed = feed or BatchMaker(program.seed)

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
        result = self.program.learn_as(number, *self.feed.batch(images, labels, number))
        self._mean.add(float(result.loss), float(result.accuracy), len(rows))

    def mean(self) -> Mean:
        """Over the batches since the epoch began."""
        return self._mean

    def logits(self, split: Split) -> Tensor:
        """Logits of a split [n, classes], in inference form."""
        starts = range(0, len(split), EVALUATION_BATCH)
        return torch.cat([self.program.logits(split.images[start : start + EVALUATION_BATCH]) for start in starts])
