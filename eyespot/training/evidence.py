"""Evidence: the losses of single images that a verdict on the fit is tested with."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eyespot.shapes import Bool, Float32


@dataclass(frozen=True)
class ImageResults:
    """Results of a model on images, computed as in prediction: without dropout, augmentation or updates.

    Attributes:
        losses: cross-entropy of each image, in nats.
        right: whether the most probable class is the label.
        penalty: the model's regularisation losses, which Keras adds to the mean.
    """

    losses: Float32[np.ndarray, " images"]
    right: Bool[np.ndarray, " images"]
    penalty: float = 0.0

    @cached_property
    def loss(self) -> float:
        """Mean loss as Keras states it, in nats."""
        return float(self.losses.mean(dtype=np.float64)) + self.penalty

    @cached_property
    def accuracy(self) -> float:
        """Accuracy, a fraction."""
        return float(self.right.mean())

    @property
    def means(self) -> tuple[float, float]:
        """Loss and accuracy."""
        return self.loss, self.accuracy


@dataclass(frozen=True)
class Evidence:
    """Results of a training on single images.

    Attributes:
        validation_losses: loss of each validation image after each epoch, in nats.
        train: results of a sample of the training images after the last epoch.
        validation: results of the validation images after the last epoch.
        kept_train: results of the same training images with the weights that are kept.
        kept_validation: results of the validation images with the weights that are kept.
    """

    validation_losses: Float32[np.ndarray, "epochs images"]
    train: ImageResults
    validation: ImageResults
    kept_train: ImageResults
    kept_validation: ImageResults

    @property
    def kept(self) -> tuple[ImageResults, ImageResults]:
        """Results of training and validation images with the weights that are kept."""
        return self.kept_train, self.kept_validation
