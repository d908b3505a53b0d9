"""From a source, as the user names it, to a dataset."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset
from eyespot.data.own import read_own
from eyespot.errors import DataError, unknown
from eyespot.recipe_parts import PicturesRecipe


def load(
    source: str | Path | Dataset = "digits",
    pictures: PicturesRecipe | None = None,
    console: Console | None = None,
    *,
    own_first: bool = True,
) -> Dataset:
    """Reads a dataset.

    Args:
        source: a path to the user's own pictures (a folder, a table, arrays, IDX files); a catalog name (`digits`,
            `mnist`, …); or a `Dataset` already made from arrays.
        pictures: how own pictures are read.
        console: where progress is shown; None: nowhere.
        own_first: what a user names is a path that exists before it is a catalog name; what a recipe or a run names is
            the other way round, so that it means the same in every working directory.

    Raises:
        DataError: there is no such dataset (the nearest name is suggested), or its files are malformed.
        DownloadError: it is not on this machine and cannot be fetched.
    """
    if isinstance(source, Dataset):
        return source
    if not own_first and source in CATALOG:
        return _public(str(source))
    if is_path(source):
        return read_own(Path(source), pictures or PicturesRecipe(), console or Console(quiet=True))
    if isinstance(source, Path) or looks_like_path(source):
        raise DataError(f"There is no file or folder {source}.")
    if source not in CATALOG:
        raise DataError(unknown("dataset", source, CATALOG))
    return _public(source)


def _public(name: str) -> Dataset:
    return replace(CATALOG[name].read(), public=True)


def is_path(source: str | Path) -> bool:
    """Whether it is something that exists: own pictures go before datasets of the same name."""
    return Path(source).exists()


def looks_like_path(source: str) -> bool:
    """Whether no dataset can have such a name."""
    return "/" in source or "\\" in source or bool(Path(source).suffix)
