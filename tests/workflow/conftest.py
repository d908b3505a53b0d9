"""What tests of workflows share."""

from collections.abc import Iterator
from typing import Any

import pytest

from eyespot.figures import results
from eyespot.workflow import evaluate, train


@pytest.fixture(scope="module")
def without_figures() -> Iterator[None]:
    """No figures of single runs are made, which takes a quarter of a short training's time.

    `tests/workflow/test_train.py` and those of figures look at them.
    """

    def nothing(*_: Any) -> None:
        return None

    homes = ((evaluate, ("save",)), (results, ("gallery", "confusion_matrix")), (train, ("save", "learning_curves")))
    with pytest.MonkeyPatch.context() as patched:
        for home, names in homes:
            for name in names:
                patched.setattr(home, name, nothing)
        yield
