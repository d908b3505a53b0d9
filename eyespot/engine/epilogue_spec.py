"""What follows a linear layer and is done in one pass: pool, leaky ReLU, dropout."""

from dataclasses import dataclass
from typing import NamedTuple


class PoolWindow(NamedTuple):
    """The maximum pool: size in pixels, and how far the first window begins above and left of the image."""

    height: int
    width: int
    top: int
    left: int


NO_POOL = PoolWindow(1, 1, 0, 0)


@dataclass(frozen=True)
class EpilogueSpec:
    """Operations on the values, in an order that gives the same: pool, leaky ReLU, dropout.

    Attributes:
        names: what is in it, for people.
        window: of the maximum pool; 1x1 where there is none.
        output_sides: height and width after the pool; None where they stay.
        slope: of the activation below zero; 1 where there is none.
        rate: of dropout; 0 where there is none.
        index: of the dropout's call, for its random numbers.
    """

    names: tuple[str, ...] = ()
    window: PoolWindow = NO_POOL
    output_sides: tuple[int, int] | None = None
    slope: float = 1.0
    rate: float = 0.0
    index: int = 0

    def output_shape(self, values_shape: tuple[int, ...]) -> tuple[int, ...]:
        """[n, height, width, channels] after it."""
        count, *sides, channels = values_shape
        return (count, *(self.output_sides or sides), channels)

    @property
    def threshold(self) -> int:
        """Outputs whose 32 random bits are below are dropped."""
        return round(self.rate * 2**32)

    @property
    def growth(self) -> float:
        """Factor of the outputs that are not dropped."""
        return 1 / (1 - self.rate)


def as_pictures(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[n, height, width, channels]; anything else as images of one row."""
    if len(shape) == 4:  # noqa: PLR2004
        return tuple(shape)
    count, *_, channels = shape
    return (count, 1, -1, channels)
