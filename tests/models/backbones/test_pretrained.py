import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.errors import ModelError
from eyespot.models.architectures import build, build_recipe
from eyespot.models.backbones.pretrained import BACKBONES, build_on_backbone, own_shape
from eyespot.models.cost import multiply_adds
from eyespot.models.graph import ends_in_softmax
from eyespot.models.loading import takes_raw_pixels
from eyespot.recipe.schema import BACKBONE_SIDES, Recipe
from tests.engine.compare import compiled
from tests.models.backbones.imagenet import photographs

LITE0 = "efficientnet-lite0"
SHAPE = (64, 64, 3)
# Millions of multiply-adds with the head for ImageNet, as the papers and github.com/tensorflow/tpu print them.
PUBLISHED = {
    LITE0: 407, "efficientnet-lite1": 631, "efficientnet-lite2": 899, "mobilenet-v3-small": 56,
    "mobilenet-v3-large": 219, "efficientnet-v2-b0": 700,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Lite0 with a head for five classes."""
    return build(LITE0, SHAPE, 5, seed=1)


@pytest.mark.parametrize("name", BACKBONES)
def test_each_takes_raw_pixels_and_gives_probabilities(name: str):
    """Each is a classifier of `uint8` pixels, which it rescales inside; its work is about what its paper says."""
    made = build_on_backbone(name, own_shape(name), 3, weights=False)
    assert made.inputs[0].dtype == "uint8"
    assert made.input_shape == (None, BACKBONE_SIDES[name], BACKBONE_SIDES[name], 3)
    assert takes_raw_pixels(made)
    assert ends_in_softmax(made.layers[-1])
    assert multiply_adds(made) / 1e6 == pytest.approx(PUBLISHED[name], rel=0.07)


def test_the_seed_draws_the_head_alone(model: keras.Model):
    """Another seed gives another head on the same features."""
    again, other = build(LITE0, SHAPE, 5, seed=1), build(LITE0, SHAPE, 5, seed=2)
    for mine, same, others in zip(model.weights, again.weights, other.weights, strict=True):
        assert np.array_equal(mine.numpy(), same.numpy())
        is_drawn = mine is model.layers[-1].kernel
        assert np.array_equal(mine.numpy(), others.numpy()) != is_drawn


def test_grey_images_are_repeated_to_three_channels(model: keras.Model):
    """A grey image gives what its three equal channels give."""
    grey = photographs(64)[..., :1]
    with torch.no_grad():
        expected = model(np.repeat(grey, 3, axis=-1)).numpy()
        assert build(LITE0, (64, 64, 1), 5, seed=1)(grey).numpy() == pytest.approx(expected, abs=1e-5)


def test_images_that_are_too_small_are_refused():
    """The sentence names the least size, and the one that the weights were trained on."""
    with pytest.raises(ModelError) as caught:
        build(LITE0, (28, 28, 1), 10)
    assert str(caught.value) == f"{LITE0} takes images of at least 32x32 pixels, best 224x224; these are 28x28."


def test_a_misspelt_backbone_is_answered_with_the_nearest():
    """Backbones are among the known names."""
    with pytest.raises(ModelError, match="Did you mean 'efficientnet-lite0'"):
        build("efficientnet_lite0", SHAPE, 3)


def test_width_and_dropout_do_not_go_with_weights():
    """The weights fit the layers as they are."""
    recipe = Recipe.parse({"model": {"name": LITE0, "width": 0.5}})
    with pytest.raises(ModelError, match=r"leave out `model.width` and `model.dropout`\.$"):
        build_recipe(recipe, SHAPE, 3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_engine_runs_lite0_whole(channels: int, dtype: torch.dtype, tolerance: float):
    """No layer is left to Keras, grey images included; probabilities of photographs are those of Keras."""
    classifier = build(LITE0, (64, 64, channels), 5)
    pixels = photographs(64)[..., :channels]
    program = LoweredProgram(compiled(classifier), dtype)
    assert "Keras" not in {how for _, how in program.lowering}
    with torch.no_grad():
        expected = classifier(pixels).numpy()
    found = program.infer(torch.tensor(pixels, device=program.device)).float().softmax(1).cpu().numpy()
    assert found == pytest.approx(expected, abs=tolerance)
    assert expected.std() > 0.01


@pytest.mark.parametrize("name", ["mobilenet-v3-small", "efficientnet-v2-b0"])
def test_the_engine_runs_the_others_but_for_dropout_of_whole_images(name: str):
    """What is left to Keras is named: EfficientNetV2's dropout, which drops all of a block's values of an image."""
    program = LoweredProgram(compiled(build_on_backbone(name, SHAPE, 3, weights=False)))
    left = [layer for layer, how in program.lowering if how == "Keras"]
    assert all(layer.endswith("_drop") for layer in left)
    assert bool(left) == (name == "efficientnet-v2-b0")
