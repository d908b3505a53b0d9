"""How every model begins: raw pixels in, rescaled inside, so that serving cannot differ from training."""

from eyespot.backend import keras

Shape = tuple[int, ...]


def pixel_input(input_shape: Shape, dtype: str = "uint8") -> list[keras.KerasTensor | keras.Layer]:
    """The first entries of a Sequential: `uint8` pixels 0-255 of (height, width, channels), brought to 0-1."""
    return [keras.Input(input_shape, dtype=dtype, name="pixels"), keras.layers.Rescaling(1 / 255)]
