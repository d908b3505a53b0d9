from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyespot.data.dataset import Dataset
from eyespot.errors import RecipeError
from eyespot.recipe.schema import Recipe
from eyespot.studies.space import Range, base_values, default_space, own_value, read_space, space_of, starting_points


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"model": {"name": "mlp"}, "training": {"optimizer": "sgd", "early_stopping": False}},
        {"model": {"name": "mnist-cnn-small"}, "training": {"epochs": 1, "batch_size": 7}},
        {"training": {"schedule": "cosine", "warmup_epochs": 2}, "augmentation": {"policy": "photos"}},
    ],
)
def test_the_usual_space_holds_the_recipe_itself(bars: Dataset, values: dict[str, Any]):
    """Whatever the recipe says or leaves open, its own value of every key is in the space, and every value fits."""
    recipe = Recipe.parse(values)
    base = base_values(recipe, bars)
    space = space_of(default_space(recipe, bars, base), recipe, base, "the usual space")
    points = starting_points(space, {key: own_value(recipe, key, base) for key in space})
    for point in points:
        assert point.keys() == space.keys()
        for key, value in point.items():
            one = space[key]
            assert one.low <= value <= one.high if isinstance(one, Range) else value in one
        recipe.with_settings(point)
    assert points[0]["training.epochs"] == recipe.training.epochs
    assert len(points) > 1


def test_batches_grow_with_the_pictures(bars: Dataset):
    """Few pictures are tried in small batches, never larger than there are; many in larger ones."""
    recipe = Recipe()
    few = default_space(recipe, bars, base_values(recipe, bars))
    assert few["training.batch_size"] == [16, 32, 64]
    tenfold = replace(bars, train=bars.train.take(np.arange(60_000) % 120))
    many = default_space(recipe, tenfold, base_values(recipe, tenfold))
    assert many["training.batch_size"] == [64, 128, 256, 512]


def test_a_space_of_ones_own(tmp_path: Path):
    """Lists and ranges are read from a file; the recipe's own value is added where it is not in them."""
    path = tmp_path / "space.yaml"
    path.write_text(
        "training.learning_rate: {low: 0.01, high: 0.1, log: true}\ntraining.epochs: {low: 40, high: 50}\n"
        "training.average: [0.9]\n"
    )
    space = space_of(read_space(path), Recipe(), {"training.learning_rate": 0.001}, str(path))
    assert space["training.learning_rate"] == Range(low=0.001, high=0.1, log=True)
    assert space["training.epochs"] == Range(low=30, high=50)
    assert space["training.average"] == [None, 0.9]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"training.learnin_rate": [1]}, "Did you mean 'training.learning_rate'"),
        ({"training.optimizer": ["adam", "sdg"]}, "training.optimizer must be"),
        ({"training.epochs": 3}, "list of values, or low and high"),
        ({"training.epochs": []}, "list of values, or low and high"),
        ({"training.epochs": {"low": 5, "hgih": 9}}, "high"),
        ({"training.epochs": {"low": 9, "high": 5}}, "low must be below its high"),
        ({"training.learning_rate": {"low": 0, "high": 1, "log": True}}, "begins above 0"),
        ({"training.average": {"low": 0.9, "high": 0.99}}, "no number in the recipe itself"),
        ({"training.seed": [1, 2]}, "cannot be searched"),
        ({"split.fraction": [0.1, 0.3]}, "cannot be searched"),
        ({"training.batch_size": [{"a": 1}]}, "the search space"),
    ],
)
def test_a_space_that_cannot_be_is_told(values: dict[str, Any], told: str):
    """Unknown keys, values that do not fit, ranges that are none: one sentence each."""
    with pytest.raises(RecipeError, match=told):
        space_of(values, Recipe(), {}, "the search space")
