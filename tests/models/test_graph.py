import numpy as np

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.models.cost import multiply_adds
from eyespot.models.graph import Call, ends_in_softmax, trace

layers = keras.layers


def kinds(calls: list[Call]) -> list[str]:
    return [type(call.layer).__name__ for call in calls]


def test_operators_and_operations_are_part_of_the_graph():
    """`keras.ops` and operators on symbolic tensors are calls like any other."""
    pixels = keras.Input((4, 4, 1), dtype="uint8")
    shortcut = keras.ops.cast(pixels, "float32") / 255
    joined = shortcut + layers.Conv2D(1, 3, padding="same")(shortcut)
    graph = trace(keras.Model(pixels, layers.Flatten()(joined)))
    assert kinds(graph.calls) == ["Cast", "TrueDivide", "Conv2D", "Add", "Flatten"]
    assert graph.calls[3].inputs == [graph.calls[1].output, graph.calls[2].output]


def test_a_model_used_twice_inside_a_model_is_two_values():
    """The layers of a shared inner model are called once for each use, on different values."""
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3)])
    start = keras.Input((3,))
    graph = trace(keras.Model(start, inner(inner(start))))
    first, second = graph.calls
    assert first.layer is second.layer
    assert second.inputs == [first.output]
    assert first.inputs == [graph.input]
    assert second.output is graph.output


def test_what_a_model_costs_counts_the_models_inside_it():
    """Multiply-adds of a convolution in an inner model are counted."""
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3, padding="same")])
    start = keras.Input((4, 4, 1))
    assert multiply_adds(keras.Model(start, layers.Flatten()(inner(start)))) == 4 * 4 * 2 * 9


def test_separable_and_transposed_convolutions_are_counted():
    """A separable convolution is a depthwise and a 1x1 one; a transposed one works once an input pixel."""
    start = keras.Input((4, 4, 3))
    separable = keras.Model(start, layers.SeparableConv2D(5, 3, padding="same")(start))
    assert multiply_adds(separable) == 16 * (9 * 3 + 3 * 5)
    transposed = keras.Model(start, layers.Conv2DTranspose(5, 3, strides=2, padding="same")(start))
    assert multiply_adds(transposed) == 16 * 9 * 3 * 5


def test_the_graph_computes_what_the_model_does(bars: Dataset):
    """Called one after the other, the calls of a model with a branch give what the model gives."""
    pixels = keras.Input(bars.input_shape)
    left = layers.Conv2D(2, 3, padding="same", activation="relu")(pixels)
    output = layers.Dense(2)(layers.Flatten()(layers.Concatenate()([left, pixels])))
    model = keras.Model(pixels, output)
    images = bars.train.images[:5].astype(np.float32)
    graph = trace(model)
    values = {id(graph.input): images}
    for call in graph.calls:
        inputs = [values[id(tensor)] for tensor in call.inputs]
        values[id(call.output)] = call.layer(inputs if len(inputs) > 1 else inputs[0])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(values[id(graph.output)]), keras.ops.convert_to_numpy(model(images)), atol=1e-6
    )


def test_a_layer_ends_in_softmax():
    """By its kind, also of a user's own subclass, or by its activation."""

    class Own(keras.layers.Softmax):
        """A softmax by another name."""

    softmax = (layers.Softmax(), Own(), layers.Activation("softmax"), layers.Dense(3, activation="softmax"))
    others = (layers.Dense(3), layers.Dense(3, activation="sigmoid"), layers.Flatten())
    assert all(map(ends_in_softmax, softmax))
    assert not any(map(ends_in_softmax, others))
