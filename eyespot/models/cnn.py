"""The default network: a small modern CNN that fits its depth to the picture."""

import math

from eyespot.backend import keras
from eyespot.models.pixels import Shape, pixel_input

layers = keras.layers
WIDTHS = (32, 64, 128, 256, 256, 256)


def cnn(input_shape: Shape, classes: int, *, dropout: float = 0.25) -> keras.Model:
    """Blocks of a 3x3 convolution, batch normalisation, ReLU and a pool that halves the picture; then a dense head.

    The first block has two convolutions: strokes are found at full resolution, before any pixel is dropped.
    As many blocks as leave at least 2 pixels a side: two for 8x8, three for 28x28, four for 32x32. Batch
    normalisation: Ioffe and Szegedy 2015 (arXiv:1502.03167).
    """
    blocks = max(1, min(len(WIDTHS), int(math.log2(max(2, min(input_shape[:2]) / 2)))))
    stack = pixel_input(input_shape)
    for block, width in enumerate(WIDTHS[:blocks]):
        for _ in range(1 if block else 2):
            stack += [
                layers.Conv2D(width, 3, padding="same", use_bias=False),
                layers.BatchNormalization(momentum=0.9),
                layers.ReLU(),
            ]
        stack += [layers.MaxPooling2D(2, padding="same"), layers.Dropout(dropout)]
    head = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(2 * dropout)]
    return keras.Sequential([*stack, *head, layers.Dense(classes, activation="softmax")], name="cnn")
