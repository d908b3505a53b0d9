"""ImageClassifier: training and prediction as a scikit-learn estimator."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from eyespot.data.dataset import Dataset, shape_text
from eyespot.data.in_memory import as_images
from eyespot.errors import DataError, RecipeError, UsageError
from eyespot.inference.predictor import Predictor
from eyespot.recipe.option_types import Balanced, Optimizer, Policy, RecipeOptions
from eyespot.shapes import Float32, Shaped, UInt8
from eyespot.workflow.train import train

SEEDS = 2**32


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of small images with scikit-learn's interface.

    `fit` is `eyespot.train`: it holds out validation images, stops early, keeps the best epoch and calibrates the
    probabilities. What it answers is what `model.onnx` answers. It can be cloned, pickled, and used in a `Pipeline`,
    `cross_val_score` and `GridSearchCV`.

    Args:
        model: a known architecture (`eyespot models` lists them), `path.py:function`, or a `.keras` file.
        epochs: at most.
        batch_size: images a step; None: 32, or all where there are fewer.
        optimizer: its Keras name.
        learning_rate: None: the optimizer's own.
        augment: how training images are changed at random: `none`, `auto`, `digits`, `objects` or `photos`.
        class_weights: `"balanced"`, or None: every image counts the same.
        validation_fraction: share of the images that choices are made on; 0: none, so that it neither stops early nor
            calibrates.
        early_stopping: stop when validation loss stops falling.
        patience: epochs to wait for that.
        value_range: the numbers that stand for black and white, as (-1, 1); None: 0 and 255, or 0 and 1 for fractions
            up to 1.
        settings: any other keys of the recipe, by their dotted names: `{"training.schedule": "cosine"}`.
        random_state: the seed of weights, order, dropout and split, or a generator to draw one from.
        verbose: 0 prints nothing, 1 prints what `train` prints.

    Attributes:
        classes_: the labels, sorted; columns of `predict_proba` are in this order.
        image_shape_: (height, width, channels) of the images that it was fitted on.
        history_: figures of each epoch, by Keras's names, as `History.history`.
        verdict_: the diagnosis of the fit, in words.
        n_iter_: epochs trained.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import cross_val_score
        >>> digits = load_digits()
        >>> classifier = eyespot.ImageClassifier("mlp", epochs=10, value_range=(0, 16))
        >>> cross_val_score(classifier, digits.images, digits.target).mean()  # doctest: +SKIP
        0.97
    """

    def __init__(  # noqa: PLR0913 - each is one setting of the training
        self,
        model: str = "cnn",
        *,
        epochs: int = 30,
        batch_size: int | None = None,
        optimizer: Optimizer = "adam",
        learning_rate: float | None = None,
        augment: Policy = "none",
        class_weights: Balanced | None = None,
        validation_fraction: float = 0.1,
        early_stopping: bool = True,
        patience: int = 5,
        value_range: tuple[float, float] | None = None,
        settings: Mapping[str, object] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.augment = augment
        self.class_weights = class_weights
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.value_range = value_range
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "ImageClassifier":  # noqa: N803 - scikit-learn's name
        """Train on images and their labels.

        Args:
            X: an array `[n, height, width]`, `[n, height, width, channels]` or `[n, pixels]` of square images; or a
                list of arrays, Pillow images, paths or files' contents.
            y: one label an image: whole numbers or text.

        Raises:
            ValueError: images or labels are not that, or there is one class only.
            ValueError: a setting is unknown or does not fit.
            EyespotError: the loss stopped being a number in the first epoch, or the model cannot be made.

        Example:
            >>> classifier = eyespot.ImageClassifier("mlp", value_range=(0, 16)).fit(digits.images, digits.target)
        """
        with _value_errors():
            labels = column_or_1d(y, warn=True)
            assert_all_finite(labels, input_name="y")
            check_classification_targets(labels)
            images = as_images(X, "X", self.value_range)
            if len(images) != len(labels):
                raise DataError(f"X holds {len(images):,} images, but y {len(labels):,} labels: expected one each.")
            classes, codes = np.unique(labels, return_inverse=True)
            if len(classes) == 1:
                raise DataError("y holds 1 class: a classifier needs at least two.")
            dataset = Dataset.from_arrays(
                images, codes, class_names=[str(label) for label in classes.tolist()], name="fit"
            )
            with tempfile.TemporaryDirectory() as folder:
                training = train(
                    dataset,
                    output=Path(folder) / "run",
                    settings=self.settings,
                    verbose=self.verbose,
                    **self._options(),
                )
                if training.outcome.ending == "interrupted":
                    raise KeyboardInterrupt
                self._onnx = training.run.file("model.onnx").read_bytes()
            if training.outcome.ending == "diverged":
                warnings.warn(f"The loss diverged. {training.verdict.advice}", ConvergenceWarning, stacklevel=2)
            self.classes_ = classes
            self.image_shape_: tuple[int, int, int] = images.shape[1:]
            self.n_iter_ = len(training.outcome.history)
            self.history_ = {name: training.outcome.history.column(name) for name in training.outcome.history.rows[0]}
            self.verdict_ = training.verdict.sentence
            self._predictor: Predictor | None = _open(self._onnx)
        return self

    def predict(self, X: Any) -> Shaped[np.ndarray, " n"]:  # noqa: N803 - scikit-learn's name
        """Return the most probable class of each image; arguments and errors as of `predict_proba`.

        Example:
            >>> classifier.predict(digits.images[:3])
            array([0, 1, 2])
        """
        best = self.predict_proba(X).argmax(axis=1)
        labels: Shaped[np.ndarray, " n"] = self.classes_[best]
        return labels

    def predict_proba(self, X: Any) -> Float32[np.ndarray, "n classes"]:  # noqa: N803 - scikit-learn's name
        """Return the calibrated probabilities of each image; rows add up to 1.

        Args:
            X: as of `fit`; a list of images is brought to the size of the images that it was fitted on.

        Raises:
            NotFittedError: it has not been fitted.
            ValueError: they are no images, or of another size.

        Example:
            >>> classifier.predict_proba(digits.images[:3]).shape
            (3, 10)
        """
        check_is_fitted(self)
        with _value_errors():
            return self._fitted_predictor().probabilities(self._images(X))

    def _options(self) -> RecipeOptions:
        """The options of training; of validation and stopping, those alone that have an effect."""
        options: RecipeOptions = {
            "model": self.model,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "augment": self.augment,
            "class_weights": self.class_weights,
            "seed": self._seed(),
        }
        if self.validation_fraction == 0:
            return {**options, "split": "none"}
        options["fraction"] = self.validation_fraction
        if not self.early_stopping:
            return {**options, "early_stopping": False}
        return {**options, "patience": self.patience}

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(SEEDS, dtype=np.int64))

    def _images(self, X: Any) -> UInt8[np.ndarray, "n height width channels"]:  # noqa: N803 - scikit-learn's name
        images = as_images(X, "X", self.value_range, self.image_shape_)
        if images.shape[1:] != self.image_shape_:
            raise DataError(
                f"X holds images of {shape_text(images.shape[1:])}; the classifier was fitted on "
                f"{shape_text(self.image_shape_)}."
            )
        return images

    def _fitted_predictor(self) -> Predictor:
        if self._predictor is None:  # it was unpickled or copied
            self._predictor = _open(self._onnx)
        return self._predictor

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: None if name == "_predictor" else value for name, value in state.items()}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.single_output = True
        tags.non_deterministic = self.random_state is None
        return tags


@contextmanager
def _value_errors() -> Iterator[None]:
    """Within it, what is wrong with data and settings is a ValueError, which scikit-learn's tools expect."""
    try:
        yield
    except (DataError, RecipeError, UsageError) as error:
        raise ValueError(str(error)) from error


def _open(model: bytes) -> Predictor:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(model)
        return Predictor(file)
