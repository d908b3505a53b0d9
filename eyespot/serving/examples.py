"""Examples of what a model was tested on."""

import asyncio

import numpy as np

from eyespot.serving.served import Examples, Served
from eyespot.shapes import Int64


async def load_examples(served: Served) -> Examples:
    """The test pictures, loaded with the first question and kept; none, with a note, where they cannot be had."""
    if served.examples is None:
        served.examples = asyncio.get_running_loop().create_task(_loaded(served))
    return await asyncio.shield(served.examples)


async def _loaded(served: Served) -> Examples:
    load, predictor = served.offer.examples, served.now.predictor
    if load is None:
        return none_of(predictor.input_shape, "This model was exported without its test pictures.")
    found = await asyncio.to_thread(load)
    fits = found.images.shape[1:] == predictor.input_shape and (found.labels < len(predictor.class_names)).all()
    return found if fits else none_of(predictor.input_shape, "The test pictures are of another model.")


def none_of(shape: tuple[int, int, int], note: str) -> Examples:
    """No examples, and why."""
    return Examples(np.zeros((0, *shape), np.uint8), np.zeros(0, np.int64), note)


def chosen(labels: Int64[np.ndarray, " n"], count: int) -> list[int]:
    """Rows of as many examples: the first of each class, then the second of each, always the same.

    Where there are more classes than examples, the classes are as far apart as they can be.
    """
    order = np.argsort(labels, kind="stable")
    classes, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    if len(classes) > count:
        spread = np.linspace(0, len(classes) - 1, count).round().astype(int)
        return [int(order[starts[index]]) for index in spread]
    rounds = range(int(sizes.max(initial=0)))
    rows = [order[start + turn] for turn in rounds for start, size in zip(starts, sizes, strict=True) if turn < size]
    return [int(row) for row in rows[:count]]
