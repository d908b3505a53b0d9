"""The tutorials' networks, layer by layer as they print them, with the pixels' rescaling moved inside."""

from eyespot.backend import keras
from eyespot.models.mlp import mlp
from eyespot.models.pixels import Shape, pixel_input

layers = keras.layers


def fashion_cnn(input_shape: Shape, classes: int, *, dropout: bool = False) -> keras.Model:
    """Three convolutions with LeakyReLU 0.1 and pooling, a dense layer of 128; 356,234 parameters for 28x28x1, 10.

    With `dropout`: 0.25 after the first pool, 0.25 after the second, 0.4 after the third, 0.3 after the dense layer.
    """
    rates = (0.25, 0.25, 0.4) if dropout else (0, 0, 0)
    stack = pixel_input(input_shape)
    for width, rate in zip((32, 64, 128), rates, strict=True):
        stack += [
            layers.Conv2D(width, 3, padding="same"),
            layers.LeakyReLU(0.1),
            layers.MaxPooling2D(2, padding="same"),
        ]
        stack += [layers.Dropout(rate)] if rate else []
    stack += [layers.Flatten(), layers.Dense(128), layers.LeakyReLU(0.1)]
    stack += [layers.Dropout(0.3)] if dropout else []
    name = "fashion-cnn-dropout" if dropout else "fashion-cnn"
    return keras.Sequential([*stack, layers.Dense(classes, activation="softmax")], name=name)


def fashion_cnn_dropout(input_shape: Shape, classes: int) -> keras.Model:
    """`fashion_cnn` with its dropout layers."""
    return fashion_cnn(input_shape, classes, dropout=True)


def mnist_mlp(input_shape: Shape, classes: int) -> keras.Model:
    """Two dense layers of 512 with dropout 0.2; 669,706 parameters for 28x28x1, 10."""
    return mlp(input_shape, classes, hidden=(512, 512), dropout=0.2)


def mnist_mlp_one_hidden(input_shape: Shape, classes: int) -> keras.Model:
    """One dense layer of 512, no dropout."""
    return mlp(input_shape, classes, hidden=(512,), dropout=0)


def mnist_cnn_small(input_shape: Shape, classes: int) -> keras.Model:
    """One convolution of 32, pooling, a dense layer of 16."""
    return keras.Sequential(
        [
            *pixel_input(input_shape),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ],
        name="mnist-cnn-small",
    )


def mnist_cnn_two_conv(input_shape: Shape, classes: int) -> keras.Model:
    """Two 5x5 convolutions with pooling, dropout 0.25 and 0.5; 242,062 parameters for 28x28x1, 10."""
    return _two_conv(input_shape, classes, "mnist-cnn-two-conv", repeats=1)


def mnist_cnn_two_conv_as_printed(input_shape: Shape, classes: int) -> keras.Model:
    """As its tutorial's summary shows it: the second pool and the first dropout stand twice; 57,742 parameters."""
    return _two_conv(input_shape, classes, "mnist-cnn-two-conv-as-printed", repeats=2)


def _two_conv(input_shape: Shape, classes: int, name: str, repeats: int) -> keras.Model:
    return keras.Sequential(
        [
            *pixel_input(input_shape),
            layers.Conv2D(16, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(36, 5, padding="same", activation="relu"),
            *(layers.MaxPooling2D(2) for _ in range(repeats)),
            *(layers.Dropout(0.25) for _ in range(repeats)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ],
        name=name,
    )
