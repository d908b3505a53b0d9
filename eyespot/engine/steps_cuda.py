"""Steps on a GPU: everything lies there, a step is captured once and replayed, and the host waits only to look.

Pictures, labels, the epoch's order, the keys of its random numbers, what it draws for its pictures and the sums of
losses are on the device. After some steps that run as they are, a step of a full batch is captured as a CUDA graph;
what changes from step to step, the batch, its draws and the two keys, is copied into its buffers. A smaller last batch
runs without the graph.
"""

from typing import Any

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.data.dataset import Split
from eyespot.engine.drawing import keys_of_step
from eyespot.engine.feed import Feed
from eyespot.engine.program import LoweredProgram
from eyespot.engine.stage import Step
from eyespot.engine.steps import Epoch, Mean

EVALUATION_BATCH = 4096
WARM_UP = 3  # steps before one is captured: libraries choose their algorithms, kernels are compiled
RESIDENT_SHARE = 0.5  # of the free memory: a larger data set stays outside, and its batches are sent over


class DeviceSteps:
    """Runs a program's steps where its variables lie."""

    rest = 0.1

    def __init__(self, program: LoweredProgram, feed: Feed | None = None) -> None:
        self.program, self.device = program, program.device
        self.feed = feed or Feed(program.seed)
        self.captures = self.device.type == "cuda" and _can_be_captured(program)
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self._keys = torch.zeros(2, dtype=torch.int64, device=self.device)
        self._step = Step(training=True, device_keys=self._keys)
        self._resident: dict[int, tuple[Split, tuple[Tensor, Tensor] | None]] = {}
        self._batch_size = 0

    def begin(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch."""
        self._epoch, self._learnt = epoch, mean.pictures
        self._pictures = self._laid(epoch.split)
        self._order = torch.from_numpy(epoch.order).to(self.device)
        keys = [keys_of_step(self.program.seed, epoch.first + index) for index in range(epoch.steps)]
        self._keys_of_steps = torch.tensor(keys, device=self.device)
        self._draws_of_rows = self._drawn(epoch)
        if epoch.batch_size != self._batch_size:
            self._batch_size, self._warmed = epoch.batch_size, 0
            self._graph: torch.cuda.CUDAGraph | None = None
            images = epoch.split.images
            shape, dtype = (epoch.batch_size, *images.shape[1:]), torch.from_numpy(images[:0]).dtype
            self._images = torch.empty(shape, dtype=dtype, device=self.device)
            self._labels = torch.empty(epoch.batch_size, dtype=torch.int64, device=self.device)
            self._draws = torch.empty_like(self._draws_of_rows[: epoch.batch_size])
        self._sums.copy_(torch.tensor([mean.loss_sum, mean.right]))
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
        """Of a split [n, classes], in inference form; they may still be under way."""
        laid, parts = self._laid(split), []
        for start in range(0, len(split), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            parts.append(self.program.infer(laid[0][rows] if laid else self._sent(split, rows)[0]))
        return torch.cat(parts)

    def _learn(self, images: Tensor, labels: Tensor, draws: Tensor) -> None:
        judged = self.program.learn(*self.feed.change(images, labels, draws), self._step)
        self._sums += torch.stack([judged.loss, judged.accuracy]) * len(labels)

    def _drawn(self, epoch: Epoch) -> Tensor:
        """What every step of an epoch draws, a row a picture in the epoch's order; no columns if nothing is drawn."""
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
    by_keras = any(how == "Keras" for _, how in program.lowering) or program.optimizer_how == "Keras"
    return not by_keras and isinstance(program.model.optimizer._learning_rate, keras.Variable)
