"""What may be written over, file by file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eyespot import files
from eyespot.errors import RunError
from eyespot.files import check_own, creating, numbered, replacing, replacing_folder, rewrite_text, write_text


def test_what_eyespot_wrote_is_written_again(tmp_path: Path):
    """A file that nobody has changed gives way to the next one, as often as it is written."""
    for text in ("one", "two", "three"):
        rewrite_text(tmp_path / "page.html", text)
    assert (tmp_path / "page.html").read_text() == "three"


@pytest.mark.parametrize("kind", ["foreign", "changed", "grown", "a folder", "a link", "a broken link"])
def test_what_is_not_as_eyespot_wrote_it_is_refused(kind: str, tmp_path: Path):
    """A person's file, a changed one, a folder, a link: one sentence, and everything is as it was."""
    path, other = tmp_path / "page.html", tmp_path / "other"
    if kind in {"changed", "grown"}:
        rewrite_text(path, "eyespot's")
        path.write_text("mine" if kind == "changed" else "eyespot's and mine")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "foreign":
        path.write_text("mine")
    else:
        path.symlink_to(other)
        if kind == "a link":
            other.write_text("mine")
    before = {each: each.read_text() for each in tmp_path.iterdir() if each.is_file()}
    with pytest.raises(RunError, match=r"page\.html is not by eyespot, or has been changed.*move it away, or choose"):
        check_own(tmp_path / "new.html", path)
    with pytest.raises(RunError):
        rewrite_text(path, "new")
    assert {each: each.read_text() for each in tmp_path.iterdir() if each.is_file()} == before
    assert os.path.lexists(path)


def test_a_record_that_is_damaged_is_not_written_over(tmp_path: Path):
    """It may be somebody's; nothing is written in such a folder."""
    (tmp_path / files.RECORD).write_text("mine")
    with pytest.raises(RunError, match="is damaged: move it away"):
        rewrite_text(tmp_path / "new.html", "new")
    assert (tmp_path / files.RECORD).read_text() == "mine"


@pytest.mark.parametrize("linkless", [False, True], ids=["hard links", "a disk without hard links"])
def test_a_file_of_its_own_is_never_written_over_another(
    linkless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither where it is there before, nor where it comes while the new one is written."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if linkless:
        monkeypatch.setattr(os, "link", refused)
    with creating(tmp_path / "new") as sibling:
        sibling.write_text("new")
    with pytest.raises(FileExistsError), creating(tmp_path / "late") as sibling:  # noqa: PT012 - it comes within
        sibling.write_text("new")
        (tmp_path / "late").write_text("mine")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"new": "new", "late": "mine"}


def test_names_that_are_numbered(tmp_path: Path):
    """The name itself, then -2, -3, before the ending."""
    names = numbered(tmp_path / "a.png")
    assert [next(names).name for _ in range(3)] == ["a.png", "a-2.png", "a-3.png"]


def test_temporary_names_are_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sibling's name that is taken is an error, and what has it stays: a file, a link to one, a folder."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".tmp-x-file").symlink_to(tmp_path / "mine")
    (tmp_path / ".tmp-x-folder").mkdir()
    (tmp_path / ".tmp-x-folder" / "mine").write_text("mine")
    monkeypatch.setattr(files, "_beside", lambda path: path.with_name(f".tmp-x-{path.name}"))
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "file", "new")
    with pytest.raises(FileExistsError), replacing_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / ".tmp-x-file").read_text() == (tmp_path / ".tmp-x-folder" / "mine").read_text() == "mine"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path):
    """What it points to stays as it is."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with replacing(tmp_path / "link") as sibling:
        sibling.write_text("new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "link").read_text() == "new"


def test_a_folder_is_whole_or_not_there(tmp_path: Path):
    """Where the block or the rename fails, the old folder is as it was and no temporary one is left."""
    folder = tmp_path / "folder"
    with replacing_folder(folder) as sibling:
        (sibling / "deep").mkdir()
        (sibling / "deep" / "file").write_text("old")
        assert not folder.exists()
    with pytest.raises(ZeroDivisionError), replacing_folder(folder):
        raise ZeroDivisionError
    with pytest.raises(OSError, match="folder"), replacing_folder(folder) as sibling:
        (sibling / "file").write_text("new")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "folder", "folder/deep", "folder/deep/file"
    ]  # fmt: skip


def test_a_folder_takes_the_place_that_is_made(tmp_path: Path):
    """What is at the path is moved out of the way while the new folder comes, and no sooner."""
    folder, aside = tmp_path / "folder", tmp_path / "aside"
    folder.mkdir()

    @contextmanager
    def moved(path: Path) -> Iterator[None]:
        path.rename(aside)
        yield
        assert (folder / "file").read_text() == "new"

    with replacing_folder(folder, moved) as sibling:
        (sibling / "file").write_text("new")
        assert not aside.exists()
    assert aside.is_dir()
