"""A model as boxes, one a layer, as a page draws it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eyespot.models.cost import LayerCost

WIDEST, TALLEST = 132.0, 60.0  # pixels on the page


@dataclass(frozen=True)
class Box:
    """One layer.

    Attributes:
        layer: its name, shape and cost.
        width, height: how large what comes out of it is drawn, by the logarithms of its channels and of its side.
        joins: the layers that it takes from, where these are not the one before it alone.
        parameters_share, work_share: of all parameters, and of all multiply-adds, in [0, 1].
    """

    layer: LayerCost
    width: float
    height: float
    joins: tuple[str, ...]
    parameters_share: float
    work_share: float

    @property
    def shape(self) -> str:
        """As in `28 x 28 x 32`."""
        return " × ".join(map(str, self.layer.shape))  # noqa: RUF001 - the sign for it


def boxes(layers: Sequence[LayerCost]) -> list[Box]:
    """What a page draws of a model's layers, in the order in which they run."""
    parameters, work = (
        max(1, sum(getattr(layer, name) for layer in layers)) for name in ("parameters", "multiply_adds")
    )
    most = max((_channels(layer) for layer in layers), default=1)
    side = max((_side(layer) for layer in layers), default=1)
    drawn, before = [], ""
    for layer in layers:
        joins = layer.inputs if layer.inputs not in {(before,), ()} else ()
        width, height = WIDEST * _scaled(_channels(layer), most), TALLEST * _scaled(_side(layer), side)
        shares = layer.parameters / parameters, layer.multiply_adds / work
        drawn.append(Box(layer, width, height, joins, *shares))
        before = layer.name
    return drawn


def _channels(layer: LayerCost) -> int:
    return layer.shape[-1] if layer.shape else 1


def _side(layer: LayerCost) -> int:
    return max(layer.shape[:-1], default=1)


def _scaled(value: int, most: int) -> float:
    """In [0.1, 1]."""
    return 0.1 + 0.9 * math.log1p(value) / math.log1p(most)
