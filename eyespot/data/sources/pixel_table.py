"""A CSV of flattened pixels, a picture a row: `label,pixel0,…` as Kaggle has MNIST, or the same without a header."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from eyespot.data.sources.array_values import Labelled, labelled
from eyespot.errors import DataError
from eyespot.recipe_parts import PicturesRecipe

PIXEL = re.compile(r"(pixel|px|x)?_?\d+(x\d+)?", re.IGNORECASE)
FEWEST = 16  # pixels: 4 x 4


def is_pixel_table(path: Path) -> bool:
    """Whether all columns but one or two are named as pixels are, or as numbers, which then are no names."""
    if path.suffix not in {".csv", ".tsv"}:
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        names = _split(path, file.readline())
    return sum(bool(PIXEL.fullmatch(name)) for name in names) >= max(FEWEST, len(names) - 2)


def read_pixel_table(path: Path, wanted: PicturesRecipe) -> Labelled:
    """Its pictures.

    Raises:
        DataError: the pixels are not whole numbers 0-255 of square pictures, or there is no column of labels.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        names = _split(path, file.readline())
    headless = all(name.isdecimal() for name in names)
    if headless:
        names = ["label", *(f"pixel{number}" for number in range(len(names) - 1))]
    label = wanted.label_column or next((name for name in names if not PIXEL.fullmatch(name)), None)
    if label is None or label not in names:
        raise DataError(f"{path} has no column of labels {label or ''}: its columns are {', '.join(names[:3])}, ….")
    pixels = [name for name in names if PIXEL.fullmatch(name) and name != label]
    types = {label: pa.string(), **dict.fromkeys(pixels, pa.uint8())}
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=names if headless else None),
            parse_options=pyarrow.csv.ParseOptions(delimiter=_delimiter(path)),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} is not a table of pixels 0 to 255 that can be read ({str(error).splitlines()[0]})."
        ) from None
    columns = table.select(pixels)
    if any(column.null_count for column in columns.itercolumns()):
        raise DataError(f"{path}: there are rows with too few pixels.")
    images = np.empty((table.num_rows, len(pixels)), np.uint8)
    for place, column in enumerate(columns.itercolumns()):
        images[:, place] = column.to_numpy()
    texts = np.array(["" if text is None else text for text in table.column(label).to_pylist()], np.str_)
    return labelled(images, texts, str(path))


def _split(path: Path, line: str) -> list[str]:
    return [name.strip().strip('"') for name in line.strip().split(_delimiter(path))]


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","
