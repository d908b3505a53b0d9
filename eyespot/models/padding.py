"""TensorFlow's rule for `same` padding, as Keras has it on every backend."""

from collections.abc import Sequence

from eyespot.backend import keras


def same_padding(
    layer: keras.Layer, sides: Sequence[int], window: Sequence[int], dilations: Sequence[int] = (1, 1)
) -> tuple[int, int, int, int]:
    """Padding before and after each side, (top, left, bottom, right), of a convolution or pool; zeros for `valid`."""
    if layer.padding == "valid":
        return 0, 0, 0, 0
    before, after = [], []
    for side, size, stride, dilation in zip(sides, window, layer.strides, dilations, strict=True):
        covered = (-(-side // stride) - 1) * stride + (size - 1) * dilation + 1
        total = max(0, covered - side)
        before.append(total // 2)
        after.append(total - total // 2)
    return before[0], before[1], after[0], after[1]
