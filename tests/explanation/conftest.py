from collections.abc import Callable

import pytest

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.recipe.schema import Recipe
from eyespot.workflow.train import train
from tests.explanation.corners import corners


@pytest.fixture(scope="session")
def cornered() -> Dataset:
    """400 training and 80 test images whose class is where a patch lies."""
    return corners()


@pytest.fixture(scope="session")
def trained(cornered: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], keras.Model]:
    """A network of that name, trained on the corners; tests do not change it."""
    made: dict[str, keras.Model] = {}

    def give(name: str) -> keras.Model:
        if name not in made:
            values = {"model": {"name": name}, "training": {"epochs": 6, "seed": 1, "precision": "float32"}}
            done = train(cornered, Recipe.parse(values), tmp_path_factory.mktemp("corners") / name)
            assert done.test
            assert done.test.accuracy == 1
            made[name] = done.run.model()
        return made[name]

    return give
