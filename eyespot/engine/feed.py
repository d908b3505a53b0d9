"""What a step is fed: its batch, changed at random and weighted by class, where the recipe asks for that."""

import numpy as np
import torch
from torch import Tensor

from eyespot.data.augment.augmenter import Augmented, augment
from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column, draw
from eyespot.data.augment.mixing import heavier_first
from eyespot.engine.kernels import kernels_for
from eyespot.engine.loss import Targets
from eyespot.shapes import Float32

NOTHING = Changes()
AHEAD = 32  # steps


class Feed:
    """Makes batches of a training, on one device.

    Args:
        seed: of the training; what a step draws is a function of it and of the step's number.
        changes: of the pictures.
        class_weights: how much a row of each class counts in the loss; None: all the same.

    Attributes:
        changes: of the pictures.
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
        self._augment = _by_numba if kernels_for(torch.device(device)) == "cpu" else augment
        self.weights = None if class_weights is None else torch.tensor(class_weights, device=device)

    def draws(self, number: int, pictures: int) -> Tensor:
        """What the step of that number draws for so many pictures, float32 [pictures, columns], on the host."""
        if (number, pictures) not in self._ahead:
            # Several steps' at once: right after a step, which has filled the caches, one's take ten times as long.
            steps = range(number, number + AHEAD)
            self._ahead = {(step, pictures): draw(self.changes, self.seed, step, pictures) for step in steps}
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
        """The same, with the draws of one step."""
        draws = self.draws(number, len(labels)).to(self.device) if self.changes.any else labels
        return self.change(images, labels, draws)


def _by_numba(images: Tensor, labels: Tensor, changes: Changes, draws: Tensor) -> Augmented:
    """As `augment`, on the processor."""
    from eyespot.engine.kernels.cpu import augment as kernel

    drawn, out = draws.numpy(), torch.empty_like(images)
    partners = drawn[:, Column.PARTNER].argsort(kind="stable")
    own = np.empty(len(drawn), np.float32)
    kernel.augment(images.numpy(), drawn, partners, kernel.numbers_of(changes), out.numpy(), own)
    if not changes.mixes:
        return Augmented(out, labels)
    return Augmented(out, *heavier_first(labels, labels[torch.from_numpy(partners)], torch.from_numpy(own)))
