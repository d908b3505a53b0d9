"""What a step draws for its pictures: a function of the seed and the step's number alone."""

from enum import IntEnum, auto

import numpy as np

from eyespot.data.augment.changes import Changes
from eyespot.seeds import seed_for
from eyespot.shapes import Float32


class Column(IntEnum):
    """Of a picture's draws; uniform in [0, 1) but for the last two, which are shares."""

    DOWN = 0
    RIGHT = auto()
    ANGLE = auto()
    SIZE = auto()
    MIRROR = auto()
    UPEND = auto()
    BRIGHTNESS = auto()
    CONTRAST = auto()
    ERASE = auto()
    AREA = auto()
    ASPECT = auto()
    TOP = auto()
    LEFT = auto()
    RED = auto()
    GREEN = auto()
    BLUE = auto()
    PARTNER = auto()
    WAY = auto()
    ROW = auto()
    COLUMN = auto()
    MIXUP = auto()
    CUTMIX = auto()


def draw(changes: Changes, seed: int, step: int, pictures: int) -> Float32[np.ndarray, "pictures columns"]:
    """A row a picture; every column is drawn, so that one change's numbers do not depend on which others there are.

    Args:
        seed: of the training.
        step: its number in the whole training, from 0.
    """
    generator = np.random.Generator(np.random.Philox(key=seed_for(seed, "augment", step)))  # quicker than from a seed
    drawn = generator.random((pictures, len(Column)), np.float32)
    for column, alpha in ((Column.MIXUP, changes.mixup), (Column.CUTMIX, changes.cutmix)):
        drawn[:, column] = generator.beta(alpha, alpha, pictures) if alpha else 1.0
    return drawn
