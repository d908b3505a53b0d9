"""load: read a dataset."""

from collections.abc import Mapping
from typing import Unpack

from eyespot.data.dataset import Dataset
from eyespot.data.load import Source, check_reading
from eyespot.data.load import load as load_source
from eyespot.errors import RecipeError, unknown
from eyespot.recipe.data_recipe import PicturesRecipe
from eyespot.recipe.effects import stated_keys
from eyespot.recipe.option_types import PictureOptions
from eyespot.recipe.schema import Recipe


def load(source: Source = "digits", *, verbose: int = 1, **options: Unpack[PictureOptions]) -> Dataset:
    """Read a dataset.

    Args:
        source: a path to your own images (a folder, a table, arrays, IDX files); the name of a dataset (`digits`,
            `mnist`, …); a `Dataset`; or what `Dataset.from_arrays` takes: `(images, labels)`, or
            `((images, labels), (test_images, test_labels))` as `keras.datasets` has it. A path that exists goes before
            a name.
        verbose: 0 prints nothing, 1 shows progress on a terminal.
        options: how your own images are read: `size=28`, `color=False`, …

    Raises:
        DataError: there is no such dataset (the nearest name is suggested), or its files are malformed.
        DownloadError: it is not on this machine and cannot be fetched.
        RecipeError: an option is unknown or out of range.
        UsageError: an option has no effect on this source.

    Example:
        >>> dataset = eyespot.load("digits")
        >>> dataset.train.images.shape
        (1437, 8, 8, 1)
        >>> own = eyespot.load("my-pictures", size=28, color=False)  # doctest: +SKIP
    """
    return load_source(source, reading(source, options), verbose=verbose)


def reading(source: Source, options: Mapping[str, object]) -> PicturesRecipe:
    """Return how a source is read, from the options that a call states; raises as `load` does."""
    for name in options:
        if name not in PictureOptions.__annotations__:
            raise RecipeError(unknown("option", name, PictureOptions.__annotations__))
    recipe = Recipe().with_options(options)
    check_reading(recipe, stated_keys(options, {}), source)
    return recipe.pictures
