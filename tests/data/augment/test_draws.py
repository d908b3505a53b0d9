import numpy as np
import pytest

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column, draw


def test_a_step_draws_what_its_number_says():
    """The same seed and step give the same numbers, whatever was drawn before; another step or seed gives others."""
    changes = Changes(shift=0.1, mixup=0.4)
    first = draw(changes, 3, 17, 5)
    for other in ((3, 18), (4, 17), (4, 18)):
        assert not np.array_equal(draw(changes, *other, 5), first)
    assert np.array_equal(draw(changes, 3, 17, 5), first)


def test_one_change_does_not_move_anothers_numbers():
    """Switching mixing on leaves the uniform columns as they are."""
    plain, mixed = draw(Changes(shift=0.1), 0, 0, 9), draw(Changes(shift=0.1, mixup=1, cutmix=2), 0, 0, 9)
    assert np.array_equal(plain[:, : Column.MIXUP], mixed[:, : Column.MIXUP])
    assert (plain[:, Column.MIXUP :] == 1).all()
    assert not (mixed[:, Column.MIXUP :] == 1).any()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta(alpha: float):
    """Of many pictures, mean and variance of the shares are those of Beta(alpha, alpha)."""
    shares = draw(Changes(mixup=alpha), 1, 0, 20_000)[:, Column.MIXUP]
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_columns_are_uniform_and_apart():
    """Every other column is uniform in [0, 1), and no two go together."""
    drawn = draw(Changes(), 0, 5, 20_000)[:, : Column.MIXUP]
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean(0) == pytest.approx(0.5, abs=0.01)
    together = np.corrcoef(drawn.T) - np.eye(drawn.shape[1])
    assert np.abs(together).max() < 0.04
