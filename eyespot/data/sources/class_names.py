"""A file that says what each folder or label is called."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from eyespot.data.sources.listing import plain
from eyespot.errors import DataError


def read_class_names(path: Path) -> dict[str, str]:
    """The class's name for each folder or label, in the file's order.

    Args:
        path: YAML or JSON: a mapping, or a list of names for the labels 0, 1, …; CSV: a line `label,name` each.

    Raises:
        DataError: there is no such file, or it is not that.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            rows = [row for row in csv.reader(text.splitlines()) if row]
            if any(len(row) != 2 for row in rows):  # noqa: PLR2004
                raise DataError(f"{path}: expected two columns a line, label and name.")
            return {plain(label.strip()): plain(name.strip()) for label, name in rows}
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise DataError(f"There is no file of class names at {path}.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read as class names ({str(error).splitlines()[0]}).") from None
    if isinstance(values, list):
        values = dict(enumerate(values))
    if not isinstance(values, dict) or not all(isinstance(name, str | int) for name in values.values()):
        raise DataError(f"{path}: expected a mapping from labels to names, or a list of names.")
    return {plain(str(label)): plain(str(name)) for label, name in values.items()}


def renamed(labels: Iterable[str], names: dict[str, str], where: Path) -> dict[str, str]:
    """The mapping for the labels that there are, in the mapping's order.

    Raises:
        DataError: some are not in it.
    """
    present = set(labels)
    missing = sorted(present - set(names))
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""  # noqa: PLR2004
        raise DataError(f"{where} has no name for {', '.join(map(repr, missing[:5]))}{more}: add a line for each.")
    return {label: name for label, name in names.items() if label in present}
