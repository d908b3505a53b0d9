"""What a step is fed: its batch, changed at random and weighted by class, where the recipe asks for that."""

import numpy as np
import torch
from torch import Tensor

from eyespot.data.augment.augmenter import augment
from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import draw
from eyespot.engine.loss import Targets
from eyespot.shapes import Float32

NOTHING = Changes()


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
        self.weights = None if class_weights is None else torch.tensor(class_weights, device=device)

    def draws(self, number: int, pictures: int) -> Tensor:
        """What the step of that number draws for so many pictures, float32 [pictures, columns], on the host."""
        return torch.from_numpy(draw(self.changes, self.seed, number, pictures))

    def change(self, images: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor | Targets]:
        """Pictures and targets as they are learnt.

        Args:
            images, labels, draws: on the device.
        """
        others = shares = None
        if self.changes.any:
            changed = augment(images, labels, self.changes, draws)
            images, labels, others, shares = changed.images, changed.labels, changed.others, changed.shares
        if others is None and self.weights is None:
            return images, labels
        # As Keras weighs one-hot labels: by their largest entry.
        return images, Targets(labels, others, shares, None if self.weights is None else self.weights[labels])

    def batch(self, images: Tensor, labels: Tensor, number: int) -> tuple[Tensor, Tensor | Targets]:
        """The same, with the draws of one step."""
        draws = self.draws(number, len(labels)).to(self.device) if self.changes.any else labels
        return self.change(images, labels, draws)
