"""From a source, as the user names it, to a dataset."""

from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset
from eyespot.errors import DataError, unknown


def load(source: str | Dataset = "digits") -> Dataset:
    """Reads a dataset.

    Args:
        source: a catalog name (`digits`, `mnist`, …), or a `Dataset` already made from arrays.

    Raises:
        DataError: there is no such dataset (the nearest name is suggested), or its files are malformed.
        DownloadError: it is not on this machine and cannot be fetched.
    """
    if isinstance(source, Dataset):
        return source
    if source not in CATALOG:
        raise DataError(unknown("dataset", source, CATALOG))
    return CATALOG[source].read()
