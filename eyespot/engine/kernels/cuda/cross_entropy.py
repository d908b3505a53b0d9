"""Softmax, cross-entropy, accuracy and their gradient; see `cpu/cross_entropy.py`."""

import triton
import triton.language as tl

ROWS = 64
LOWEST = tl.constexpr(-3e38)  # in columns that are no class's


@triton.jit
def cross_entropy(
    logits, labels, gradient, sums, count, classes, smallest, share, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """logits [count, classes] and labels int64 [count] to the gradient of the mean loss [count, classes].

    A label that is no class's number makes the loss NaN: a GPU's kernel cannot raise.

    Args:
        sums: float32 [programs, 2], written: each program's sum of losses, and how many rows it has right.
        smallest: probabilities are clipped to [smallest, 1 - smallest]; a clipped one has no gradient.
        share: 1 / count.
        COLUMNS: a power of two, at least `classes`.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    there = row < count
    is_class = (column < classes)[None, :]
    inside = there[:, None] & is_class
    place = row.to(tl.int64)[:, None] * classes + column[None, :]
    value = tl.load(logits + place, mask=inside, other=LOWEST).to(tl.float32)
    label = tl.load(labels + row, mask=there, other=0)
    highest = tl.max(value, 1)
    best = tl.argmax(value, 1)
    power = tl.where(is_class, tl.exp(value - highest[:, None]), 0.0)
    probability = power / tl.sum(power, 1)[:, None]
    target = column[None, :] == label[:, None]
    of_label = tl.sum(tl.where(target, probability, 0.0), 1)
    clipped = tl.minimum(tl.maximum(of_label, smallest), 1.0 - smallest)
    is_number = (of_label == of_label) & (label >= 0) & (label < classes)
    loss = tl.where(is_number, -tl.log(clipped), float("nan"))
    factor = tl.where(is_number & (clipped != of_label), 0.0, share)
    slope = (probability - tl.where(target, 1.0, 0.0)) * factor[:, None]
    tl.store(gradient + place, slope.to(gradient.dtype.element_ty), mask=inside)
    right = (best == label) & there
    tl.store(sums + tl.program_id(0) * 2, tl.sum(tl.where(there, loss, 0.0), 0))
    tl.store(sums + tl.program_id(0) * 2 + 1, tl.sum(right.to(tl.float32), 0))
