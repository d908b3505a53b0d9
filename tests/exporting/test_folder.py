"""An export takes an earlier one's place, and nothing else's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eyespot.data.dataset import Dataset
from eyespot.errors import ExportError
from eyespot.exporting.formats import Source
from eyespot.exporting.package import check_target, write_package
from eyespot.run import Run
from tests.exporting.sources import source_of
from tests.exporting.test_package import Plain, original


@pytest.fixture
def source(run: Run, bars: Dataset) -> Source:
    return source_of(run, bars)


@pytest.fixture
def target(source: Source, tmp_path: Path) -> Path:
    """A folder that an export has written."""
    write_package(Nested(), source, original(source), tmp_path / "plain", 0)
    return tmp_path / "plain"


class Nested(Plain):
    """Writes a file in a folder too."""

    def write(self, source: Source, folder: Path) -> None:
        super().write(source, folder)
        (folder / "page").mkdir()
        (folder / "page" / "page.js").write_text("//")


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


def note(path: Path) -> None:
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**told, "note": "mine"}, indent=2), encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


CHANGES: dict[str, Callable[[Path], object]] = {
    "corrections/7/20260131T120000.png": lambda target: put(target / "corrections" / "7" / "20260131T120000.png"),
    "README.md": lambda target: put(target / "README.md"),
    ".hidden": lambda target: put(target / ".hidden"),
    "page/notes.txt": lambda target: put(target / "page" / "notes.txt"),
    "empty": lambda target: (target / "empty").mkdir(),
    "model-card.md": lambda target: put(target / "model-card.md"),
    "model.bin": lambda target: put(target / "model.bin"),
    "link": lambda target: (target / "link").symlink_to(target.parent),
    "metadata.json": lambda target: note(target / "metadata.json"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_person_put_or_changed_stays(name: str, target: Path, source: Source):
    """Before any work, one sentence names it; and no file of the folder is touched."""
    CHANGES[name](target)
    before = contents(target)
    with pytest.raises(ExportError, match=f"{Path(name).parts[0]}.*move.* away, or choose another --output"):
        check_target(target)
    with pytest.raises(ExportError):
        write_package(Nested(), source, original(source), target, 0)
    assert contents(target) == before
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_what_comes_while_the_export_is_made_stays(target: Path, source: Source):
    """A correction that is saved meanwhile: the export is refused, and the folder is as it was, with it."""

    class Slow(Nested):
        def write(self, source: Source, folder: Path) -> None:
            super().write(source, folder)
            put(target / "corrections" / "7" / "new.png")

    with pytest.raises(ExportError, match=r"plain/corrections.*would be lost"):
        write_package(Slow(), source, original(source), target, 0)
    assert (target / "corrections" / "7" / "new.png").read_text() == "mine"
    assert (target / "model.bin").exists()
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_an_earlier_export_gives_way_as_a_whole(target: Path, source: Source):
    """Of one that nobody has changed, no file is left among the new ones."""
    write_package(Plain(), source, original(source), target, 0)
    assert sorted(contents(target)) == ["metadata.json", "model-card.md", "model.bin"]
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_an_export_of_an_earlier_eyespot_stays(target: Path, source: Source):
    """It does not say which files are its own."""
    told = json.loads((target / "metadata.json").read_text(encoding="utf-8"))
    for name in ("files", "seal"):
        told.pop(name, None)
    (target / "metadata.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
    before = contents(target)
    with pytest.raises(ExportError, match=r"by an earlier eyespot.*move the folder away, or choose another --output"):
        write_package(Plain(), source, original(source), target, 0)
    assert contents(target) == before


def test_metadata_cannot_name_files_elsewhere(target: Path, source: Source):
    """Whatever a folder from a stranger lists, only files in it go."""
    from eyespot.exporting.folder import _sealed

    (target.parent / "mine").write_text("mine")
    told = json.loads((target / "metadata.json").read_text(encoding="utf-8"))
    del told["seal"]
    told["files"]["../mine"] = "6e0e9f6d1c4c1f5ae6b1e2bd8a7fbb1e4ea8a7f2d9e9c0b0c9c7e2e1b1d0c0f0"
    (target / "metadata.json").write_text(_sealed(told), encoding="utf-8")
    write_package(Plain(), source, original(source), target, 0)
    assert (target.parent / "mine").read_text() == "mine"
