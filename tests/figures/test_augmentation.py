import numpy as np
import pytest

from eyespot.data.dataset import Dataset
from eyespot.errors import RecipeError
from eyespot.figures.augmentation import DRAWS, augmentation_samples
from eyespot.recipe.data_recipe import AugmentationRecipe
from tests.conftest import make_split

pytestmark = pytest.mark.draws


@pytest.mark.parametrize("size", [(8, 8, 1), (20, 30, 3)])
def test_originals_at_the_left_and_draws_at_the_right(size: tuple[int, int, int]):
    """A row a class: the training image as it is, then eight that differ from it; the title says what is done."""
    dataset = Dataset("bars", ("lying", "standing", "cost $5 up to $9"), make_split(5, 1, size))
    figure = augmentation_samples(dataset, AugmentationRecipe(policy="objects"))
    axes = figure.axes[0]
    assert axes.get_title() == "bars, policy objects: shift up to 8%, zoom up to 10%, flip left-right"
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["lying", "standing"]
    canvas = np.asarray(axes.images[0].get_array())
    height, width, _ = size
    gap = max(1, round(width / 14))
    for row in range(3):
        top = row * (height + gap) + gap // 2
        pictures = [canvas[top : top + height, :width]]
        for column in range(1, DRAWS + 1):
            left = column * (width + gap) + 3 * gap
            pictures.append(canvas[top : top + height, left : left + width])
        members = dataset.train.images[dataset.train.labels == row].squeeze()
        assert any(np.array_equal(pictures[0], member) for member in members)
        assert sum(np.array_equal(pictures[0], other) for other in pictures[1:]) <= 2
    figure.canvas.draw()


def test_an_unsettled_recipe_is_refused():
    """`auto` is for a dataset to settle first."""
    dataset = Dataset("bars", ("lying", "standing", "slanting"), make_split(5, 1))
    with pytest.raises(RecipeError, match="name a policy"):
        augmentation_samples(dataset, AugmentationRecipe(policy="auto"))
