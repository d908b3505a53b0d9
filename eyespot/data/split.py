"""Setting test and validation data aside."""

from dataclasses import replace

import numpy as np

from eyespot.data.dataset import Dataset
from eyespot.errors import DataError
from eyespot.random import seed_for
from eyespot.recipe.data_recipe import SplitRecipe
from eyespot.shapes import Int64


def split(dataset: Dataset, recipe: SplitRecipe, seed: int) -> Dataset:
    """The dataset with the validation split the recipe asks for.

    Args:
        seed: the training's seed; the split's own stream is derived from it where the recipe names none.

    Raises:
        DataError: there is only one class, the given split is missing, or a side would be left without images.
    """
    if len(np.unique(dataset.train.labels)) < 2:  # noqa: PLR2004 - a choice needs two
        class_name = dataset.class_names[int(dataset.train.labels[0])]
        raise DataError(f"{dataset.name}: all training images are of one class, {class_name!r}: nothing to tell apart.")
    method = recipe.method_for(given=dataset.validation is not None)
    if method == "none":
        return replace(dataset, validation=None)
    if method == "test":
        if dataset.test is None:
            raise DataError(f"{dataset.name} has no test images to validate on: use `split.method='fraction'`.")
        return replace(dataset, validation=dataset.test)
    if method == "given":
        if dataset.validation is None:
            raise DataError(f"{dataset.name} comes without a validation split: use `split.method='fraction'`.")
        return dataset
    rows = np.arange(len(dataset.train))
    if method == "last":
        # Keras's validation_split keeps the first int(n * (1 - fraction)) rows for training.
        train_count = int(len(rows) * (1 - recipe.fraction))
        train, validation = rows[:train_count], rows[train_count:]
    else:
        split_seed = seed_for(seed, "split") if recipe.seed is None else recipe.seed
        train, validation = _drawn(dataset, "validation", recipe.fraction, split_seed, stratify=recipe.stratify)
    if not len(train) or not len(validation):
        raise DataError(
            f"{dataset.name}: a validation fraction of {recipe.fraction:g} of {len(rows):,} images leaves one side "
            "empty."
        )
    return replace(dataset, train=dataset.train.take(train), validation=dataset.train.take(validation))


def hold_out_test(dataset: Dataset, recipe: SplitRecipe) -> Dataset:
    """The dataset with test images drawn from its training images, where the recipe asks for them.

    They are the same ones whatever seed a training has, so that trainings can be compared, and no choice among
    trainings is made on them.

    Raises:
        DataError: it comes with test images, or a side would be left without images.
    """
    if recipe.test_fraction is None:
        return dataset
    if dataset.test is not None:
        raise DataError(
            f"{dataset.name} comes with {len(dataset.test):,} test images: `split.test_fraction` holds out others only "
            "where there are none. Leave it out."
        )
    seed = seed_for(recipe.seed or 0, "test split")
    train, test = map(np.sort, _drawn(dataset, "test", recipe.test_fraction, seed, stratify=recipe.stratify))
    return replace(dataset, train=dataset.train.take(train), test=dataset.train.take(test))


def _drawn(
    dataset: Dataset, purpose: str, fraction: float, seed: int, *, stratify: bool
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " m"]]:
    """Rows for training and for another purpose, drawn at random."""
    from sklearn.model_selection import train_test_split

    counts, rows = dataset.class_counts(dataset.train), np.arange(len(dataset.train))
    if stratify and (counts == 1).any():
        class_name = dataset.class_names[int((counts == 1).argmax())]
        raise DataError(
            f"{dataset.name}: {class_name!r} has only one image, which training and {purpose} cannot share: add "
            "more, take the class away, or use `split.stratify=False`."
        )
    labels = dataset.train.labels if stratify else None
    try:
        train, drawn = train_test_split(rows, test_size=fraction, stratify=labels, random_state=seed)
    except ValueError as error:
        hint = " `split.stratify=False` splits without regard to classes." if stratify else ""
        raise DataError(
            f"{dataset.name}: its {len(rows):,} training images cannot be split by a {purpose} fraction of "
            f"{fraction:g}: {str(error).rstrip('.')}.{hint}"
        ) from None
    return train, drawn
