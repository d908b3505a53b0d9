"""A table of pictures: CSV or Parquet with a column of paths or bytes, one of labels and, if need be, one of splits.

Hugging Face's `datasets` writes such tables; their layout is read too: shards named by their split
(`data/train-00000-of-00002.parquet`), pictures as `{bytes, path}`, class names in the schema's metadata, and
`metadata.csv`, `.jsonl` or `.parquet` beside the pictures (huggingface.co/docs/datasets, "Create an image dataset").
"""

from collections.abc import Sequence
from pathlib import Path

from eyespot.data.dataset import Skipped
from eyespot.data.sources.listing import Entry, Listing
from eyespot.data.sources.table_file import TableFile
from eyespot.recipe_parts import PicturesRecipe

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def tables_in(folder: Path) -> list[Path]:
    """The tables that list a folder's pictures or hold them: Parquet shards, or metadata files; usually none."""
    shards = sorted(folder.glob("*.parquet")) or sorted((folder / "data").glob("*.parquet"))
    shards = [path for path in shards if path.name not in METADATA]
    return shards or sorted(path for name in METADATA for path in (*folder.glob(name), *folder.glob(f"*/{name}")))


def list_tables(paths: Sequence[Path], wanted: PicturesRecipe, source: Path) -> Listing:
    """Finds the pictures that tables name or hold.

    Args:
        paths: tables with the same columns; where one has no column of splits, its own name or its folder's may say
            which split it is.
        source: what all of them are called together.

    Raises:
        DataError: a table is damaged, or a column is missing, there twice, or of a type that it cannot be.
    """
    tables = [TableFile(path, wanted) for path in paths]
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    places: list[tuple[TableFile, int]] = []
    for table in tables:
        for row, found in enumerate(table.rows()):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                entries.append(found)
                places.append((table, row))

    def read(rows: Sequence[int]) -> list[Path | bytes]:
        return [table.picture(row) for table, row in (places[number] for number in rows)]

    return Listing(source, entries, read, skipped, tables[0].class_names)
