import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from eyespot.data.formats.table import list_tables, tables_in
from eyespot.errors import DataError
from eyespot.recipe.data_recipe import PicturesRecipe
from tests.data.formats.test_folder import put


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (6, 4), value).save(content, "PNG")
    return content.getvalue()


def listed(path: Path, **wanted: str):
    return list_tables([path], PicturesRecipe.model_validate(wanted), path)


def test_a_csv_names_pictures_labels_and_splits(tmp_path: Path):
    """Columns are found by their usual names, paths are relative to the table, labels like 01 stay text."""
    put(tmp_path, "a.png", "sub/b.png", "c.png")
    (tmp_path / "t.csv").write_text("Path,other,Label,split\na.png,1,01,train\nsub/b.png,2,02,val\nc.png,3,01,test\n")
    listing = listed(tmp_path / "t.csv")
    assert [(entry.file, entry.label, entry.split) for entry in listing.entries] == [
        ("a.png", "01", "train"),
        ("sub/b.png", "02", "validation"),
        ("c.png", "01", "test"),
    ]
    assert listing.read([1]) == [tmp_path / "sub/b.png"]


def test_rows_that_cannot_be_used_are_listed(tmp_path: Path):
    """A row without a label, an image or a known split, or with a missing file, is left out and named."""
    put(tmp_path, "a.png")
    rows = ["a.png,x,train", "a.png,,train", "a.png,NaN,train", ",x,train", "gone.png,x,train", "a.png,x,later"]
    (tmp_path / "t.csv").write_text("file,label,split\n" + "\n".join(rows) + "\n")
    listing = listed(tmp_path / "t.csv")
    assert len(listing.entries) == 1
    reasons = [skipped.reason for skipped in listing.skipped]
    assert [skipped.file.split(":")[0] for skipped in listing.skipped] == [f"t.csv, row {row}" for row in range(2, 7)]
    for reason, part in zip(reasons, ("no label", "no label", "no image", "no file", "'later'"), strict=True):
        assert part in reason


def test_columns_may_be_stated(tmp_path: Path):
    """Names that say nothing are stated; a wrong one gets the nearest."""
    put(tmp_path, "a.png")
    (tmp_path / "t.tsv").write_text("what\twhich\na.png\tx\n")
    assert listed(tmp_path / "t.tsv", image_column="what", label_column="which").entries[0].label == "x"
    with pytest.raises(DataError, match="name it with `pictures\\.image_column`"):
        listed(tmp_path / "t.tsv")
    with pytest.raises(DataError, match="Did you mean 'which'"):
        listed(tmp_path / "t.tsv", image_column="what", label_column="whihc")


def test_a_column_that_is_there_twice_is_told(tmp_path: Path):
    """Which of two columns of one name is meant is not guessed."""
    (tmp_path / "t.csv").write_text("file,label,label\na.png,x,y\n")
    with pytest.raises(DataError, match="two columns named 'label'"):
        listed(tmp_path / "t.csv")


def test_a_parquet_file_may_hold_the_pictures(tmp_path: Path):
    """Bytes are read a group of rows at a time; whole numbers are labels, NaN is none."""
    table = pa.table({"bytes": [png(1), png(2), png(3), png(4), None], "label": [7.0, 8.0, 7.0, float("nan"), 8.0]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    listing = listed(tmp_path / "t.parquet")
    assert [entry.label for entry in listing.entries] == ["7", "8", "7", "8"]
    assert list(listing.read([0, 1, 2, 3])) == [png(1), png(2), png(3), b""]
    assert list(listing.read([2, 0])) == [png(3), png(1)]


def test_hugging_face_shards_are_read(tmp_path: Path):
    """Splits are in the shards' names, class names in the metadata, images in `{bytes, path}`."""
    features = {"image": {"_type": "Image"}, "label": {"names": ["zebra", "ant"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    (tmp_path / "data").mkdir()
    for split, labels in (("train", [0, 1]), ("test", [1])):
        pictures = [{"bytes": png(label), "path": None} for label in labels]
        table = pa.table({"image": pictures, "label": labels}).replace_schema_metadata(metadata)
        pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    listing = list_tables(tables_in(tmp_path), PicturesRecipe(), tmp_path)
    assert listing.class_names == ("zebra", "ant")
    assert sorted((entry.label, entry.split) for entry in listing.entries) == [
        ("ant", "test"), ("ant", "train"), ("zebra", "train"),
    ]  # fmt: skip
    assert all(isinstance(picture, bytes) for picture in listing.read(range(3)))


def test_metadata_beside_pictures_is_a_table(tmp_path: Path):
    """An image folder with metadata.csv or .jsonl in each split's folder says there what its images show."""
    put(tmp_path, "train/a.png", "test/b.png")
    (tmp_path / "train/metadata.jsonl").write_text('{"file_name": "a.png", "label": "x"}\n')
    (tmp_path / "test/metadata.jsonl").write_text('{"file_name": "b.png", "label": "y"}\n')
    listing = list_tables(tables_in(tmp_path), PicturesRecipe(), tmp_path)
    assert sorted((entry.label, entry.split) for entry in listing.entries) == [("x", "train"), ("y", "test")]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl"])
def test_a_damaged_table_is_told(tmp_path: Path, name: str):
    """An empty or broken file gets a sentence with its name."""
    (tmp_path / name).write_bytes(b"" if name != "t.jsonl" else b"{")
    with pytest.raises(DataError, match=name):
        listed(tmp_path / name)
