from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from eyespot.data.dataset import Dataset, Split
from eyespot.data.split import split
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
