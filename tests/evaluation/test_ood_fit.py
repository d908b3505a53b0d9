import numpy as np
import pytest

from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation import ood_fit
from eyespot.evaluation.ood_fit import fit_rejection
from eyespot.run import Run
from tests.conftest import make_split


def test_the_stated_share_of_validation_pictures_is_rejected(run: Run, bars: Dataset):
    """Of the pictures the threshold was chosen on, the stated share exceeds it, as nearly as their number allows."""
    predictor, held = run.predictor(), make_split(100, seed=7)
    fitted = fit_rejection(predictor, bars.train, held, seed=0)
    strangeness = fitted.strangeness(np.asarray(held.images), predictor.features(np.asarray(held.images)))
    for rate in (0.01, 0.1, 0.5):
        assert abs((strangeness > fitted.threshold(rate)).mean() - rate) <= 1 / 300 + 1e-9
    assert (fitted.source, fitted.pictures) == ("validation", 300)


def test_fitting_repeats(run: Run, bars: Dataset):
    """The same pictures and seed give the same text, bit for bit."""
    first, again = (fit_rejection(run.predictor(), bars.train, bars.test, seed=4).dump() for _ in range(2))
    assert first == again


def test_more_pictures_than_are_taken(run: Run, bars: Dataset, monkeypatch: pytest.MonkeyPatch):
    """Of a large split some are drawn at random, by the seed."""
    monkeypatch.setattr(ood_fit, "MOST_PICTURES", 40)
    fitted = [fit_rejection(run.predictor(), bars.train, bars.train, seed=seed) for seed in (0, 1)]
    assert [one.pictures for one in fitted] == [40, 40]
    assert fitted[0].dump() != fitted[1].dump()


def test_without_validation_data_half_of_the_training_pictures_are_held_out(run: Run, bars: Dataset):
    """Means come from one half, what is usual from the other."""
    fitted = fit_rejection(run.predictor(), bars.train, None, seed=0)
    assert (fitted.source, fitted.pictures) == ("train", 60)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("validation", [True, False])
def test_few_pictures_are_enough(run: Run, bars: Dataset, count: int, *, validation: bool):
    """A handful of pictures, and classes without any, give a rejection that rejects noise all the same."""
    few = bars.train.take(np.arange(count))
    fitted = fit_rejection(run.predictor(), few, few if validation else None, seed=0)
    noise = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1)).astype(np.uint8)
    assert (fitted.strangeness(noise, run.predictor().features(noise)) > fitted.threshold()).all()


def test_pictures_that_are_all_the_same(run: Run):
    """Without any variance there is nothing to divide by, and another picture is still strange."""
    same = Split(np.full((20, 8, 8, 1), 90, np.uint8), np.arange(20) % 3)
    fitted = fit_rejection(run.predictor(), same, same, seed=0)
    other = make_split(1, seed=1).images
    told = fitted.strangeness(np.asarray(other), run.predictor().features(np.asarray(other)))
    usual = fitted.strangeness(np.asarray(same.images), run.predictor().features(np.asarray(same.images)))
    assert told.min() > fitted.threshold() >= usual.max()


def test_pictures_may_lie_a_28th_off_centre():
    """Each picture is moved by as much at most, and by nothing where a pixel is more than that."""
    grids = np.random.default_rng(0).random((50, 28, 28, 1), np.float32)
    moved = grids.copy()
    ood_fit._jitter(moved, np.random.default_rng(1))
    assert (moved[:, 5:20, 5:20] != grids[:, 5:20, 5:20]).any()
    for picture, original in zip(moved, grids, strict=True):
        places = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        inner = picture[1:-1, 1:-1]
        assert any((inner == np.roll(original, place, (0, 1))[1:-1, 1:-1]).all() for place in places)
    small = grids[:, :8, :8].copy()
    ood_fit._jitter(small, np.random.default_rng(1))
    assert (small == grids[:, :8, :8]).all()
