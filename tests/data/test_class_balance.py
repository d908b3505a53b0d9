import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from eyespot.data.class_balance import balanced_order, balanced_weights, class_weights_text, describe_balance
from eyespot.data.dataset import Dataset, Split

LABELS = np.repeat([0, 1, 3], [70, 20, 10])


def test_balanced_is_scikit_learns():
    """n / (classes * count): every class then counts the same in sum."""
    weights = balanced_weights(LABELS[LABELS < 3], 2)
    assert weights.tolist() == pytest.approx(
        compute_class_weight("balanced", classes=np.arange(2), y=LABELS[LABELS < 3])
    )
    assert weights * [70, 20] == pytest.approx([45, 45])


def test_a_class_without_pictures_has_no_weight():
    """The others are balanced among themselves, and what is told names it."""
    weights = balanced_weights(LABELS, 4)
    assert weights[2] == 0
    assert weights[[0, 1, 3]] * [70, 20, 10] == pytest.approx([100 / 3] * 3)
    told = class_weights_text(weights, ("cat", "dog", "emu", "fox"))
    assert told == "cat 0.476, dog 1.67, fox 3.33; none for emu, without training images"


def test_many_weights_are_told_by_their_ends():
    """Of a hundred classes, the lightest and the heaviest."""
    labels = np.repeat(np.arange(100), np.arange(1, 101))
    names = tuple(f"class {number}" for number in range(100))
    assert class_weights_text(balanced_weights(labels, 100), names) == "from 0.505 for class 99 to 50.5 for class 0"


def test_a_balanced_order_has_equal_shares():
    """As long as an epoch, as many rows of each class; none of a class twice more often than another of it."""
    order = balanced_order(LABELS, 0, 1)
    assert len(order) == len(LABELS)
    assert np.bincount(LABELS[order]).tolist() == [34, 33, 0, 33]
    for label in (0, 1, 3):
        times = np.bincount(order, minlength=len(LABELS))[label == LABELS]
        assert times.max() - times.min() <= 1


def test_a_balanced_order_is_a_function_of_seed_and_epoch():
    """The same again, another in another epoch or with another seed, and no class in a block."""
    first = balanced_order(LABELS, 5, 2)
    assert np.array_equal(balanced_order(LABELS, 5, 2), first)
    for other in ((5, 3), (6, 2)):
        assert not np.array_equal(balanced_order(LABELS, *other), first)
    assert (np.diff(LABELS[first]) != 0).sum() > 40


def test_balance_counts_classes_and_what_would_help():
    """Missing classes by split, the ratio of the largest to the smallest, scikit-learn's weights, shares resampled."""
    train = Split(np.zeros((8, 4, 4, 1), np.uint8), np.array([0, 0, 0, 0, 0, 0, 1, 1]))
    test = Split(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 2]))
    found = describe_balance(Dataset("blobs", ("a", "b", "c"), train, test=test))
    assert found["missing"] == {"train": ["c"], "test": ["b"]}
    assert found["imbalance"] == 3
    assert found["class_weights"] == {"a": 0.6667, "b": 2.0}
    assert found["resampled"] == {"a": 0.6667, "b": 2.0}
