"""ImageClassifier is a scikit-learn estimator: it can be cloned, pickled, cross-validated and searched over."""

import copy
import pickle
import warnings
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

import eyespot
from eyespot.data.dataset import Dataset

# Checks of scikit-learn that ask for what images have not.
NOT_OF_IMAGES = {
    "check_n_features_in_after_fitting": "an image has a height and a width, image_shape_, and no number of features",
    "check_n_features_in": "as above",
    "check_estimators_empty_data_messages": "asks for sentences that speak of features",
    "check_fit2d_predict1d": "a row of numbers is no image, and the sentence says so in words of its own",
}
# It sets every parameter to values of wrong types, which Beartype refuses while tests run.
NOT_UNDER_TEST = "check_do_not_raise_errors_in_init_or_set_params"
FIT_TWICE = {"check_fit_idempotent", "check_estimators_pickle", "check_dict_unchanged", "check_estimators_nan_inf"}


def as_rows(X: Any) -> Any:  # noqa: N803 - scikit-learn's name
    """Rows of a table as images one pixel high, their numbers squashed into 0-1."""
    if hasattr(X, "toarray") or (table := np.asarray(X)).ndim != 2 or not table.size:
        return X
    numbers = table.astype(np.float64)
    return (1 / (1 + np.exp(-numbers)))[:, np.newaxis, :] if np.isfinite(numbers).all() else numbers[:, np.newaxis, :]


class OnTables(eyespot.ImageClassifier):
    """The classifier, given the tables on which scikit-learn checks estimators."""

    def fit(self, X: Any, y: Any) -> "OnTables":  # noqa: N803 - scikit-learn's name
        super().fit(as_rows(X), y)
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return super().predict_proba(as_rows(X))


def checks(epochs: int, learning_rate: float) -> list[tuple[str, Any, Any]]:
    estimator = OnTables("mlp", epochs=epochs, learning_rate=learning_rate, validation_fraction=0, early_stopping=False)
    pairs = estimator_checks_generator(estimator, mark=None)
    named = [(getattr(check, "func", check).__name__, fresh, check) for fresh, check in pairs]
    return [entry for entry in named if entry[0] != NOT_UNDER_TEST]


def failing(chosen: list[tuple[str, Any, Any]]) -> set[str]:
    failed = set()
    for name, estimator, check in chosen:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                check(estimator)
            except SkipTest:  # pandas or another library is not installed
                continue
            except Exception:  # noqa: BLE001 - whatever a check raises, it has failed
                failed.add(name)
    return failed


def test_it_keeps_to_the_interface():
    """Of scikit-learn's checks, all that train nothing, and some that do: parameters, cloning, pickling, NaN."""
    quick = [
        entry
        for entry in checks(1, 1e-3)
        if entry[0] in FIT_TWICE or any(word in entry[0] for word in ("param", "clone", "tag", "repr", "init"))
    ]
    assert len(quick) > 12
    assert failing(quick) == set()


@pytest.mark.slow
def test_all_checks_of_scikit_learn():
    """Every check holds but those that ask for what images have not, and those do fail."""
    assert failing(checks(20, 1e-2)) == set(NOT_OF_IMAGES)


@pytest.fixture(scope="module")
def data(bars: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Images 0-1, and their class names."""
    return np.asarray(bars.train.images) / 255, np.array(bars.class_names)[bars.train.labels]


@pytest.fixture(scope="module")
def fitted(data: tuple[np.ndarray, np.ndarray]) -> eyespot.ImageClassifier:
    """A classifier that has learnt the bars; tests do not change it."""
    return eyespot.ImageClassifier("mlp", epochs=8).fit(*data)


def test_it_learns_and_answers(fitted: eyespot.ImageClassifier, data: tuple[np.ndarray, np.ndarray]):
    """Labels come back as they were given; probabilities add up to 1 in the order of classes_; the fit is described."""
    images, labels = data
    assert fitted.classes_.tolist() == sorted(set(labels))
    assert fitted.score(images, labels) > 1 / 2
    probabilities = fitted.predict_proba(images)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(images))
    assert len(fitted.history_["val_loss"]) == fitted.n_iter_ <= 8
    assert fitted.verdict_
    assert fitted.image_shape_ == (8, 8, 1)


def test_it_is_train(data: tuple[np.ndarray, np.ndarray], fitted: eyespot.ImageClassifier, tmp_path: Any):
    """It answers as the run of `train` with the same settings, bit for bit."""
    training = eyespot.train(data, output=tmp_path / "run", model="mlp", epochs=8)
    answers = training.run.predictor().probabilities(eyespot.load(data).train.images)
    assert np.array_equal(fitted.predict_proba(data[0]), answers)


def test_copies_answer_alike(fitted: eyespot.ImageClassifier, data: tuple[np.ndarray, np.ndarray]):
    """A pickled and a deep-copied one answer alike; a clone has the settings and is not fitted."""
    expected = fitted.predict_proba(data[0][:9])
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):  # noqa: S301 - our own
        assert np.array_equal(twin.predict_proba(data[0][:9]), expected)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(data[0])


def test_it_goes_into_scikit_learns_tools(data: tuple[np.ndarray, np.ndarray]):
    """Cross-validation, grid search and pipelines take it."""
    images, labels = data
    scores = cross_val_score(eyespot.ImageClassifier("mlp", epochs=1), images, labels, cv=2)
    assert scores.shape == (2,)
    steps = make_pipeline(FunctionTransformer(lambda x: x * 2 - 1), eyespot.ImageClassifier("mlp", value_range=(-1, 1)))
    search = GridSearchCV(steps, {"imageclassifier__epochs": [1, 6]}, cv=2, error_score="raise").fit(images, labels)
    assert search.best_params_ in ({"imageclassifier__epochs": 1}, {"imageclassifier__epochs": 6})
    assert len(search.predict(images)) == len(images)


def test_generators_give_seeds(data: tuple[np.ndarray, np.ndarray]):
    """A generator as `random_state` gives another seed with each fit; None does too."""
    classifier = eyespot.ImageClassifier("mlp", epochs=1, random_state=np.random.RandomState(3))
    first = classifier.fit(*data).predict_proba(data[0][:5])
    assert not np.array_equal(classifier.fit(*data).predict_proba(data[0][:5]), first)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"X": np.zeros((120, 8, 8)) - 1}, "pixels go from -1 to -1"),
        ({"y": np.zeros(120)}, "y holds 1 class"),
        ({"y": ["a"] * 60 + ["b"] * 59}, "X holds 120 images, but y 119 labels"),
        ({"y": np.linspace(0, 1, 120)}, "Unknown label type"),
    ],
)
def test_bad_input_is_a_value_error(data: tuple[np.ndarray, np.ndarray], change: dict[str, Any], sentence: str):
    """Foreseeable mistakes are ValueErrors of one sentence, as scikit-learn's users expect."""
    given = {"X": data[0], "y": data[1]} | change
    with pytest.raises(ValueError, match=sentence):
        eyespot.ImageClassifier("mlp", epochs=1).fit(**given)


def test_bad_settings_are_value_errors(data: tuple[np.ndarray, np.ndarray]):
    """An unknown setting, and images of another size than those of the fit, are named."""
    with pytest.raises(ValueError, match=r"training\.optimizer. must be"):
        eyespot.ImageClassifier("mlp").set_params(optimizer="adan").fit(*data)
    with pytest.raises(ValueError, match="`verbose` must be 0"):
        eyespot.ImageClassifier("mlp", verbose=2).fit(*data)


def test_images_of_another_size_are_refused(fitted: eyespot.ImageClassifier):
    """An array of another size gets a sentence."""
    with pytest.raises(ValueError, match="X holds images of 9x9x1; the classifier was fitted on 8x8x1"):
        fitted.predict(np.zeros((1, 9, 9), np.uint8))
