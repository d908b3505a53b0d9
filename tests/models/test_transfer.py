import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.architectures import build
from eyespot.models.transfer import continue_from

SHAPE = (8, 8, 1)


def trainable(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.trainable_weights]


def test_the_same_classes_keep_everything():
    """With the same classes, the model is taken as it is."""
    trained = build("cnn", SHAPE, 3)
    assert continue_from(trained, "t", SHAPE, 3, new_head=False, freeze=False) is trained


def test_other_classes_get_a_new_head():
    """With other classes, only the last dense layer is new; the layers before it are shared."""
    trained = build("cnn", SHAPE, 3)
    model = continue_from(trained, "t", SHAPE, 5, new_head=True, freeze=False)
    assert model.output_shape == (None, 5)
    before = {weight.path for weight in trained.weights} - {weight.path for weight in trained.layers[-1].weights}
    assert before <= {weight.path for weight in model.weights}
    first = trained.layers[1]
    assert model.get_layer(first.name) is first


def test_a_softmax_after_the_head_stays():
    """Layers after the head are put back after the new one."""
    layers = keras.layers
    trained = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3), layers.Softmax()])
    model = continue_from(trained, "t", SHAPE, 4, new_head=True, freeze=False)
    assert model.output_shape == (None, 4)
    assert isinstance(model.layers[-1], layers.Softmax)


@pytest.mark.parametrize("new_head", [True, False])
def test_freezing_leaves_only_the_head(new_head: bool):
    """Frozen, nothing but the head is trained."""
    model = continue_from(build("cnn", SHAPE, 3), "t", SHAPE, 3, new_head=new_head, freeze=True)
    assert trainable(model) == [model.layers[-1].name]


def test_other_pictures_are_refused():
    """A model for 8x8 pictures cannot go on with 9x9 ones."""
    with pytest.raises(ModelError, match="takes pictures of"):
        continue_from(build("mlp", SHAPE, 3), "my run", (9, 9, 1), 3, new_head=False, freeze=False)


def test_a_model_without_a_head_is_refused():
    """Without a dense layer there is nothing to replace."""
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    with pytest.raises(ModelError, match="no dense layer"):
        continue_from(model, "m", SHAPE, 3, new_head=True, freeze=False)


def test_frozen_layers_thaw():
    """A run trained with its body frozen can be continued with all of it: freezing does not stick."""
    frozen = continue_from(build("cnn", SHAPE, 3), "t", SHAPE, 3, new_head=False, freeze=True)
    thawed = continue_from(frozen, "t", SHAPE, 3, new_head=False, freeze=False)
    assert all(layer.trainable for layer in thawed.layers)


def test_a_model_that_is_not_built_is_told():
    """A Sequential that has not seen an input yet cannot be continued from."""
    with pytest.raises(ModelError, match="must be a built"):
        continue_from(keras.Sequential([keras.layers.Dense(3)]), "m", SHAPE, 3, new_head=False, freeze=False)
