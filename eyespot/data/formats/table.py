"""Tables of images: CSV or Parquet with paths, bytes or flattened pixels, labels and, if need be, splits.

A CSV may hold the pixels themselves, an image a row: `label,pixel0,…` as Kaggle has MNIST, or the same without a
header. Hugging Face's `datasets` writes tables of paths or bytes; their layout is read too: shards named by their split
(`data/train-00000-of-00002.parquet`), images as `{bytes, path}`, class names in the schema's metadata, and
`metadata.csv`, `.jsonl` or `.parquet` beside the images (huggingface.co/docs/datasets, "Create an image dataset").
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from eyespot.data.dataset import SkippedFile
from eyespot.data.formats.arrays import ImagesWithClassNames, as_images_and_labels
from eyespot.data.formats.listing import ListedImage, Listing, plain, split_named
from eyespot.errors import DataError, first_line, unknown
from eyespot.recipe.data_recipe import PicturesRecipe

PIXEL = re.compile(r"(pixel|px|x)?_?\d+(x\d+)?", re.IGNORECASE)
FEWEST = 16  # pixels: 4 x 4
FORMATS = frozenset({".csv", ".tsv", ".parquet", ".jsonl"})
IMAGE_NAMES = ("image", "img", "picture", "file_name", "filename", "file", "path", "image_path", "filepath", "bytes")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "y")
SPLIT_NAMES = ("split", "set", "subset", "partition")
NO_LABEL = frozenset({"", "nan", "none", "null", "n/a", "na"})
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def is_pixel_table(path: Path) -> bool:
    """Whether all columns but one or two are named as pixels are, or as numbers, which then are no names."""
    if path.suffix not in {".csv", ".tsv"}:
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        names = _split(path, file.readline())
    return sum(bool(PIXEL.fullmatch(name)) for name in names) >= max(FEWEST, len(names) - 2)


def _split(path: Path, line: str) -> list[str]:
    return [name.strip().strip('"') for name in line.strip().split(_delimiter(path))]


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def read_pixel_table(path: Path, recipe: PicturesRecipe) -> ImagesWithClassNames:
    """Read the images of a table of pixels.

    Raises:
        DataError: the pixels are not whole numbers 0-255 of square images, or there is no column of labels.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        names = _split(path, file.readline())
    headless = all(name.isdecimal() for name in names)
    if headless:
        names = ["label", *(f"pixel{number}" for number in range(len(names) - 1))]
    label = recipe.label_column or next((name for name in names if not PIXEL.fullmatch(name)), None)
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
        raise DataError(f"{path} is not a table of pixels 0 to 255 that can be read ({first_line(error)}).") from None
    columns = table.select(pixels)
    if any(column.null_count for column in columns.itercolumns()):
        raise DataError(f"{path}: there are rows with too few pixels.")
    images = np.empty((table.num_rows, len(pixels)), np.uint8)
    for index, column in enumerate(columns.itercolumns()):
        images[:, index] = column.to_numpy()
    texts = np.array(["" if text is None else text for text in table.column(label).to_pylist()], np.str_)
    return as_images_and_labels(images, texts, str(path))


def tables_in(folder: Path) -> list[Path]:
    """The tables that list a folder's images or hold them: Parquet shards, or metadata files; usually none."""
    shards = sorted(folder.glob("*.parquet")) or sorted((folder / "data").glob("*.parquet"))
    shards = [path for path in shards if path.name not in METADATA]
    return shards or sorted(path for name in METADATA for path in (*folder.glob(name), *folder.glob(f"*/{name}")))


def list_tables(paths: Sequence[Path], recipe: PicturesRecipe, source: Path) -> Listing:
    """Find the images that tables name or hold.

    Args:
        paths: tables with the same columns; where one has no column of splits, its own name or its folder's may say
            which split it is.
        source: what all of them are called together.

    Raises:
        DataError: a table is damaged, or a column is missing, there twice, or of a type that it cannot be.
    """
    tables = [TableFile(path, recipe) for path in paths]
    entries: list[ListedImage] = []
    skipped: list[SkippedFile] = []
    positions: list[tuple[TableFile, int]] = []
    for table in tables:
        for row, entry in enumerate(table.rows()):
            if isinstance(entry, SkippedFile):
                skipped.append(entry)
            else:
                entries.append(entry)
                positions.append((table, row))

    def read(rows: Sequence[int]) -> list[Path | bytes]:
        return [table.picture(row) for table, row in (positions[number] for number in rows)]

    return Listing(source, entries, read, skipped, tables[0].class_names)


class TableFile:
    """A CSV, TSV, JSON-lines or Parquet file with an image a row.

    Attributes:
        class_names: where the file states them, as Hugging Face's `ClassLabel` does; labels are indices into them.

    Raises:
        DataError: it is damaged, or a column is missing, there twice, or cannot be what it is named for.
    """

    def __init__(self, path: Path, recipe: PicturesRecipe) -> None:
        self.path = path
        if path.suffix == ".parquet":
            parquet = _parquet(path)
            schema, read, self._starts = parquet.schema_arrow, parquet.read, _group_starts(parquet)
        else:
            text = _text_table(path)
            schema, read, self._starts = text.schema, text.select, []
        columns = self._columns = _Columns(path, schema.names, recipe)
        self._holds_pictures = _holds_bytes(schema.field(columns.image).type)
        self.class_names = _class_names(schema, columns.label)
        names = [name for name in columns.all if not (self._holds_pictures and name == columns.image)]
        self._table: pa.Table = read(names)
        self._group: tuple[int, list[Any]] = (-1, [])
        status = path.stat()
        self._stamp = (status.st_size, status.st_mtime_ns)

    def rows(self) -> Iterator[ListedImage | SkippedFile]:
        """Each row, in order; one without a label, without an image or of an unknown split is to be left out."""
        columns = self._columns
        labels = self._table.column(columns.label).to_pylist()
        splits = self._table.column(columns.split).to_pylist() if columns.split else [None] * len(labels)
        default_split = _split_of(self.path)
        for row, (label, split) in enumerate(zip(labels, splits, strict=True)):
            where = f"{self.path.name}, row {row + 1}"
            name = self._label(label)
            split_name = (split_named(str(split)) if split is not None else None) if columns.split else default_split
            if name is None:
                yield SkippedFile(where, "it has no label")
            elif split_name is None:
                yield SkippedFile(where, f"its split {split!r} is none of train, validation and test")
            else:
                yield self._entry(row, where, name, split_name)

    def picture(self, row: int) -> Path | bytes:
        """The file of a row's image, or its content; empty bytes where the row holds none."""
        if not self._holds_pictures:
            return self.path.parent / str(self._paths[row])
        group = bisect_right(self._starts, row) - 1
        if self._group[0] != group:  # rows are asked for in order: the last group read serves many
            # Without Arrow's threads, which a process forked from this one would not have.
            table = _parquet(self.path).read_row_group(group, [self._columns.image], use_threads=False)
            self._group = (group, table.column(self._columns.image).to_pylist())
        value = self._group[1][row - self._starts[group]]
        return (value.get("bytes") if isinstance(value, dict) else value) or b""

    @cached_property
    def _paths(self) -> list[Any]:
        """The paths of the images, relative to the table."""
        return list(self._table.column(self._columns.image).to_pylist())

    def _entry(self, row: int, where: str, label: str, split: str) -> ListedImage | SkippedFile:
        if self._holds_pictures:
            return ListedImage(where, label, split, self._stamp)
        name = self._paths[row]
        if not isinstance(name, str) or not name.strip():
            return SkippedFile(where, "it names no image")
        path = self.path.parent / name
        try:
            status = path.stat()
        except OSError:
            return SkippedFile(f"{where}: {name}", f"there is no file {path}")
        return ListedImage(name, label, split, (status.st_size, status.st_mtime_ns))

    def _label(self, value: Any) -> str | None:
        """Return the class name; None where there is none."""
        if self.class_names and isinstance(value, int):
            return self.class_names[value] if 0 <= value < len(self.class_names) else None
        if isinstance(value, float):
            value = int(value) if value.is_integer() else None if value != value else value  # noqa: PLR0124 - NaN
        name = "" if value is None else plain(str(value).strip())
        return None if name.lower() in NO_LABEL else name


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a Parquet file that can be read ({first_line(error)}).") from None


def _group_starts(parquet: pq.ParquetFile) -> list[int]:
    """The first row of each group of rows."""
    sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    return list(accumulate(sizes, initial=0))[:-1]


def _text_table(path: Path) -> pa.Table:
    """A CSV, TSV or JSON-lines file; labels like 01 stay text."""
    try:
        if path.suffix == ".jsonl":
            return pyarrow.json.read_json(path)
        parse = pyarrow.csv.ParseOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
        header = pyarrow.csv.open_csv(path, parse_options=parse).schema.names
        convert = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        return pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a table that can be read ({first_line(error)}).") from None


class _Columns:
    """The columns of images, labels and splits."""

    def __init__(self, path: Path, names: Sequence[str], recipe: PicturesRecipe) -> None:
        for name in names:
            if list(names).count(name) > 1:
                raise DataError(f"{path} has two columns named {name!r}: rename or remove one.")
        self.image = _chosen(path, names, recipe.image_column, IMAGE_NAMES, "image")
        self.label = _chosen(path, names, recipe.label_column, LABEL_NAMES, "label")
        split_column = recipe.split_column or next((name for name in names if name.lower() in SPLIT_NAMES), None)
        self.split = _chosen(path, names, split_column, (), "split") if split_column else None

    @property
    def all(self) -> list[str]:
        """Every column that is needed."""
        return [name for name in (self.image, self.label, self.split) if name]


def _chosen(path: Path, names: Sequence[str], stated: str | None, usual: Sequence[str], kind: str) -> str:
    """The column of a kind: the stated one, or the first usual name."""
    if stated is not None:
        if stated not in names:
            raise DataError(f"In {path}: " + unknown("column", stated, names))
        return stated
    lower = {name.lower(): name for name in names}
    match = next((lower[name] for name in usual if name in lower), None)
    if match is None:
        raise DataError(
            f"{path} has no column that is known to hold the {kind} ({', '.join(usual[:6])}, …), but "
            f"{', '.join(map(repr, names[:8]))}: name it with `pictures.{kind}_column`."
        )
    return match


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds images, not paths: binary, or Hugging Face's `{bytes, path}`."""
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """Return the class names in the metadata that Hugging Face's `datasets` writes."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(plain(str(name)) for name in features[label]["names"])
    except (KeyError, ValueError, TypeError):
        return None


def _split_of(path: Path) -> str:
    """The split that a table's name (train-00000-of-00002) or its folder's states; else train."""
    return split_named(path.stem.split("-")[0]) or split_named(path.parent.name) or "train"
