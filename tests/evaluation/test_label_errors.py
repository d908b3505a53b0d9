import numpy as np

from eyespot.evaluation.label_errors import find_suspects


def confident(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Probabilities of a good model: mostly the true class, with some doubt."""
    generator = np.random.default_rng(seed)
    rows = generator.dirichlet(np.full(classes, 0.3), len(labels)) * 0.4
    rows[np.arange(len(labels)), labels] += 0.6
    return rows


def test_wrong_labels_come_first():
    """Of 30 flipped labels among 1,000, all rank before the others, and the true class is suggested for each."""
    generator = np.random.default_rng(0)
    true = generator.integers(0, 5, 1000)
    given, flipped = true.copy(), generator.permutation(1000)[:30]
    given[flipped] = (given[flipped] + 1) % 5
    suspects = find_suspects(confident(true, 5, 1), given)
    assert set(suspects.rows[:30]) == set(flipped)
    assert np.array_equal(suspects.suggested[:30], true[suspects.rows[:30]])
    assert 0 < suspects.estimated <= 30  # those that are beyond doubt
    assert (np.diff(suspects.margins) >= 0).all()


def test_right_labels_are_not_suspect():
    """Where every label is right, none is estimated to be wrong, whatever the order."""
    true = np.random.default_rng(0).integers(0, 5, 500)
    assert find_suspects(confident(true, 5, 1), true).estimated == 0


def test_a_class_that_is_always_unsure_is_measured_by_its_own_confidence():
    """A class whose pictures all look much like another's is not suspect as a whole."""
    probabilities = np.tile([0.55, 0.45], (100, 1))
    probabilities[:50] = [0.95, 0.05]
    labels = np.repeat([0, 1], 50)
    assert find_suspects(probabilities, labels).estimated == 0


def test_a_class_without_pictures_suggests_nothing():
    """Its threshold is out of reach."""
    probabilities = np.array([[0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    suspects = find_suspects(probabilities, np.array([0, 1, 0]))
    assert 2 not in suspects.suggested[suspects.margins < 0]
