from pathlib import Path

import pytest
from PIL import Image

from eyespot.data.formats.folder import list_folder
from eyespot.errors import DataError


def put(root: Path, *names: str) -> Path:
    """Small images of these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), 100).save(root / name, "PNG")
    return root


def found(root: Path) -> list[tuple[str, str, str]]:
    return [(entry.file, entry.label, entry.split) for entry in list_folder(root).entries]


def test_folders_are_classes(tmp_path: Path):
    """The folder below the root is the class, however deep its images lie, in the order of their paths."""
    put(tmp_path, "cat/a.png", "cat/more/deep/b.JPG", "dog/c.webp")
    assert found(tmp_path) == [
        ("cat/a.png", "cat", "train"),
        ("cat/more/deep/b.JPG", "cat", "train"),
        ("dog/c.webp", "dog", "train"),
    ]


@pytest.mark.parametrize(
    ("name", "split"), [("validation", "validation"), ("val", "validation"), ("Valid", "validation"), ("test", "test")]
)
def test_folders_of_splits_are_splits(tmp_path: Path, name: str, split: str):
    """train, validation (or val, valid) and test hold the classes' folders, in any case."""
    put(tmp_path, "train/cat/a.png", f"{name}/cat/b.png")
    assert {(entry.file, entry.split) for entry in list_folder(tmp_path).entries} == {
        ("train/cat/a.png", "train"),
        (f"{name}/cat/b.png", split),
    }


def test_a_class_may_be_called_train(tmp_path: Path):
    """Beside buses and cars, trains are a class."""
    put(tmp_path, "train/a.png", "bus/b.png")
    assert {(entry.label, entry.split) for entry in list_folder(tmp_path).entries} == {
        ("train", "train"),
        ("bus", "train"),
    }


def test_classes_beside_splits_are_told(tmp_path: Path):
    """What lies beside the splits belongs to none of them: nothing is guessed."""
    put(tmp_path, "train/cat/a.png", "test/cat/b.png", "dog/c.png")
    with pytest.raises(DataError, match="beside them 'dog'"):
        list_folder(tmp_path)


def test_one_split_under_two_names_is_told(tmp_path: Path):
    """val and validation are the same."""
    put(tmp_path, "train/cat/a.png", "val/cat/b.png", "validation/cat/c.png")
    with pytest.raises(DataError, match="val and validation"):
        list_folder(tmp_path)


def test_a_wrapping_folder_is_taken_off(tmp_path: Path):
    """A root that holds nothing but one folder of folders, as unpacked archives do, is that folder, and it is said."""
    put(tmp_path, "archive/train/cat/a.png", "archive/test/cat/b.png")
    listing = list_folder(tmp_path)
    assert {entry.split for entry in listing.entries} == {"train", "test"}
    assert "archive" in listing.notes[0]


@pytest.mark.parametrize(("ending", "kind"), [("eps", "EPS"), ("ICO", "ICO"), ("heic", "HEIC"), ("tga", "TGA")])
def test_pictures_of_formats_that_are_not_read_are_listed(tmp_path: Path, ending: str, kind: str):
    """Each with what it is, and which formats are read."""
    put(tmp_path, "cat/a.png", f"cat/b.{ending}")
    listing = list_folder(tmp_path)
    assert [entry.file for entry in listing.entries] == ["cat/a.png"]
    (skipped,) = listing.skipped
    reason = f"it is {kind}, which is not read: PNG, JPEG, WebP, GIF, BMP, TIFF and PPM are read"
    assert (skipped.file, skipped.reason) == (f"cat/b.{ending}", reason)


def test_hidden_files_are_ignored_and_others_listed(tmp_path: Path):
    """What systems leave behind is not mentioned; what a user put there and is no image is."""
    put(tmp_path, "cat/a.png", "cat/.b.png", ".git/c.png", "__MACOSX/cat/d.png")
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    (tmp_path / "cat" / ".DS_Store").touch()
    listing = list_folder(tmp_path)
    assert [entry.file for entry in listing.entries] == ["cat/a.png"]
    assert [(skipped.file, skipped.reason) for skipped in listing.skipped] == [
        ("cat/notes.txt", "its name is not that of an image")
    ]


def test_pictures_without_a_class_are_told(tmp_path: Path):
    """Loose images beside class folders are left out and listed; alone, they are no dataset."""
    put(tmp_path, "cat/a.png", "loose.png")
    assert [skipped.file for skipped in list_folder(tmp_path).skipped] == ["loose.png"]
    alone = put(tmp_path / "alone", "a.png", "b.png")
    with pytest.raises(DataError, match="no folders that say what they show"):
        list_folder(alone)


def test_links_are_followed_within_the_root_only(tmp_path: Path):
    """A link to an image below the root counts; one that leads out, to nothing or round in a circle does not."""
    root = put(tmp_path / "root", "cat/a.png")
    put(tmp_path, "outside.png")
    (root / "dog").mkdir()
    (root / "dog" / "same.png").symlink_to(root / "cat" / "a.png")
    (root / "dog" / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "dog" / "gone.png").symlink_to(root / "nothing.png")
    (root / "dog" / "circle").symlink_to(root)
    listing = list_folder(root)
    assert [entry.file for entry in listing.entries] == ["cat/a.png", "dog/same.png"]
    assert {skipped.file: skipped.reason for skipped in listing.skipped} == {
        "dog/out.png": "it is a link that leads out of the folder",
        "dog/gone.png": "it is a link to nothing",
    }


def test_a_class_is_one_however_its_name_is_written(tmp_path: Path):
    """The composed and the decomposed spelling of a name are the same class; other scripts are as good as Latin."""
    put(tmp_path, "café/a.png", "猫/b.png")
    put(tmp_path, "cafe\u0301/c.png")
    assert {entry.label for entry in list_folder(tmp_path).entries} == {"café", "猫"}


def test_a_listing_gives_the_files(tmp_path: Path):
    """What is to be opened is below the root; a stamp changes when the file does."""
    put(tmp_path, "cat/a.png", "dog/b.png")
    listing = list_folder(tmp_path)
    assert listing.read([1]) == [tmp_path / "dog/b.png"]
    before = listing.entries[0].stamp
    Image.new("L", (9, 9), 3).save(tmp_path / "cat/a.png")
    assert list_folder(tmp_path).entries[0].stamp != before
