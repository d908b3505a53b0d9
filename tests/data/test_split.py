from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from eyespot.data.dataset import Dataset, Split
from eyespot.data.split import hold_out_test, split
from eyespot.errors import DataError
from eyespot.recipe.data_recipe import SplitRecipe


def numbered(rows: int, classes: int = 2) -> Dataset:
    """Pictures that carry their own row number."""
    images = np.arange(rows, dtype=np.uint8).reshape(rows, 1, 1, 1)
    labels = np.arange(rows, dtype=np.int64) % classes
    return Dataset("numbered", tuple("abcdefghij"[:classes]), Split(images, labels))


def rows(part: Split | None) -> list[int]:
    assert part is not None
    return np.asarray(part.images).ravel().tolist()


def test_the_tutorials_split_is_scikit_learns():
    """Without stratifying, a fraction with a seed gives the rows `train_test_split` gives with that random state."""
    divided = split(numbered(100), SplitRecipe(fraction=0.2, stratify=False, seed=13), seed=0)
    train, validation = train_test_split(np.arange(100), test_size=0.2, random_state=13)
    assert rows(divided.train) == train.tolist()
    assert rows(divided.validation) == validation.tolist()


def test_stratifying_keeps_the_shares():
    """Each class gives the same share of its images."""
    divided = split(numbered(100, classes=4), SplitRecipe(fraction=0.2), seed=0)
    assert divided.validation
    assert divided.class_counts(divided.validation).tolist() == [5, 5, 5, 5]


def test_last_rows_are_keras_validation_split():
    """The last rows are set aside, in order, rounded as Keras rounds."""
    divided = split(numbered(99), SplitRecipe(method="last", fraction=0.2), seed=0)
    assert rows(divided.train) == list(range(79))
    assert rows(divided.validation) == list(range(79, 99))


def test_the_seed_decides():
    """The same seed divides alike, another one otherwise, and nothing is lost or doubled."""
    first, again, other = (split(numbered(60), SplitRecipe(), seed) for seed in (1, 1, 2))
    assert rows(first.validation) == rows(again.validation) != rows(other.validation)
    assert sorted(rows(first.train) + rows(first.validation)) == list(range(60))


def test_given_and_none():
    """A given split is left alone, and none takes it away."""
    dataset = replace(numbered(10), validation=numbered(4).train)
    assert split(dataset, SplitRecipe(method="given"), 0) is dataset
    assert split(dataset, SplitRecipe(method="none"), 0).validation is None


@pytest.mark.parametrize(
    ("dataset", "recipe", "told"),
    [
        (numbered(10), SplitRecipe(method="given"), "without a validation split"),
        (numbered(10, classes=1), SplitRecipe(), "one class, 'a'"),
        (numbered(3, classes=3), SplitRecipe(fraction=0.5), r"'a' has only one image.*`split.stratify=False`"),
        (numbered(6, classes=3), SplitRecipe(fraction=0.1), r"cannot be split.*`split.stratify=False`"),
        (numbered(10), SplitRecipe(method="last", fraction=0.999), "one side empty"),
    ],
)
def test_what_cannot_be_divided_is_told(dataset: Dataset, recipe: SplitRecipe, told: str):
    """One class, too few images, or no given split: one sentence each."""
    with pytest.raises(DataError, match=told):
        split(dataset, recipe, 0)


def test_left_open_the_given_split_is_kept():
    """A validation split that the dataset comes with is used unless another method is asked for."""
    whole = numbered(20)
    dataset = replace(whole, validation=whole.train.take(np.arange(3)))
    assert rows(split(dataset, SplitRecipe(), seed=0).validation) == [0, 1, 2]
    assert len(split(dataset, SplitRecipe(method="fraction"), seed=0).train) == 18


def test_a_share_is_held_out_for_the_test():
    """The same share of each class, in order, nothing lost or doubled; the training's seed has no part in it."""
    recipe = SplitRecipe(test_fraction=0.2, fraction=0.25)
    held_out = hold_out_test(numbered(100, classes=4), recipe)
    assert held_out.test
    assert held_out.class_counts(held_out.test).tolist() == [5, 5, 5, 5]
    assert rows(held_out.test) == sorted(rows(held_out.test))
    divided = [split(held_out, recipe, seed) for seed in (1, 2)]
    assert rows(divided[0].test) == rows(divided[1].test) == rows(held_out.test)
    assert rows(divided[0].validation) != rows(divided[1].validation)
    for each in divided:
        assert (len(each.train), len(rows(each.validation)), len(rows(each.test))) == (60, 20, 20)
        assert sorted(rows(each.train) + rows(each.validation) + rows(each.test)) == list(range(100))


def test_the_test_images_depend_on_the_splits_seed_alone():
    """Another seed of the split draws others; without a share nothing is held out."""
    first, other = (hold_out_test(numbered(60), SplitRecipe(test_fraction=0.2, seed=seed)) for seed in (None, 5))
    assert rows(first.test) != rows(other.test)
    assert hold_out_test(numbered(10), SplitRecipe()).test is None


def test_a_dataset_with_test_images_keeps_them():
    """Another test split beside the one that is there is refused, and so is a share that leaves a side empty."""
    with pytest.raises(DataError, match=r"comes with 4 test images: `split.test_fraction`"):
        hold_out_test(replace(numbered(10), test=numbered(4).train), SplitRecipe(test_fraction=0.2))
    with pytest.raises(DataError, match=r"cannot be split by a test fraction of 0\.01"):
        hold_out_test(numbered(10), SplitRecipe(test_fraction=0.01))
