"""An export takes an earlier one's place, and nothing else's.

An export's folder is whole and verified, or not there.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eyespot.data.dataset import Dataset
from eyespot.errors import ExportError
from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.exporting.package import check_target, write_package
from eyespot.inference.predictor import Predictor
from eyespot.run import Run
from tests.exporting.sources import source_of


@pytest.fixture
def source(run: Run, bars: Dataset) -> ExportSource:
    return source_of(run, bars)


@pytest.fixture
def target(source: ExportSource, tmp_path: Path) -> Path:
    """A folder that an export has written."""
    write_package(Nested(), source, original(source), tmp_path / "plain", 0)
    return tmp_path / "plain"


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
def test_what_a_person_put_or_changed_stays(name: str, target: Path, source: ExportSource):
    """Before any work, one sentence names it; and no file of the folder is touched."""
    CHANGES[name](target)
    before = contents(target)
    with pytest.raises(ExportError, match=f"{Path(name).parts[0]}.*move.* away, or choose another `output`"):
        check_target(target)
    with pytest.raises(ExportError):
        write_package(Nested(), source, original(source), target, 0)
    assert contents(target) == before
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_what_comes_while_the_export_is_made_stays(target: Path, source: ExportSource):
    """A correction that is saved meanwhile: the export is refused, and the folder is as it was, with it."""

    class Slow(Nested):
        def write(self, source: ExportSource, folder: Path) -> None:
            super().write(source, folder)
            put(target / "corrections" / "7" / "new.png")

    with pytest.raises(ExportError, match=r"plain/corrections.*would be lost"):
        write_package(Slow(), source, original(source), target, 0)
    assert (target / "corrections" / "7" / "new.png").read_text() == "mine"
    assert (target / "model.bin").exists()
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_an_earlier_export_gives_way_as_a_whole(target: Path, source: ExportSource):
    """Of one that nobody has changed, no file is left among the new ones."""
    write_package(Plain(), source, original(source), target, 0)
    assert sorted(contents(target)) == ["metadata.json", "model-card.md", "model.bin"]
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_an_export_of_an_earlier_eyespot_stays(target: Path, source: ExportSource):
    """It does not say which files are its own."""
    told = json.loads((target / "metadata.json").read_text(encoding="utf-8"))
    for name in ("files", "seal"):
        told.pop(name, None)
    (target / "metadata.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
    before = contents(target)
    with pytest.raises(ExportError, match=r"by an earlier eyespot.*move the folder away, or choose another `output`"):
        write_package(Plain(), source, original(source), target, 0)
    assert contents(target) == before


def test_metadata_cannot_name_files_elsewhere(target: Path, source: ExportSource):
    """Whatever a folder from a stranger lists, only files in it go."""
    from eyespot.exporting.package import _sealed

    (target.parent / "mine").write_text("mine")
    told = json.loads((target / "metadata.json").read_text(encoding="utf-8"))
    del told["seal"]
    told["files"]["../mine"] = "6e0e9f6d1c4c1f5ae6b1e2bd8a7fbb1e4ea8a7f2d9e9c0b0c9c7e2e1b1d0c0f0"
    (target / "metadata.json").write_text(_sealed(told), encoding="utf-8")
    write_package(Plain(), source, original(source), target, 0)
    assert (target.parent / "mine").read_text() == "mine"


HOSTILE = ("<script>alert(1)</script>", 'a "b"\\\n\t\x01 ../../etc', "类别 🐱 ]]>&amp;")


class Plain:
    """Writes a copy of `model.onnx`, and answers with it."""

    name = "plain"
    inside: tuple[str, ...] = ()

    def __init__(self, change: Callable[[np.ndarray], np.ndarray] = lambda rows: rows) -> None:
        self.change = change

    def write(self, source: ExportSource, folder: Path) -> None:
        shutil.copyfile(source.onnx, folder / "model.bin")

    def opened(self, folder: Path) -> PredictFunction:
        ask = Predictor(folder / "model.bin").probabilities
        return lambda images: self.change(ask(images))


class Nested(Plain):
    """Writes a file in a folder too."""

    def write(self, source: ExportSource, folder: Path) -> None:
        super().write(source, folder)
        (folder / "page").mkdir()
        (folder / "page" / "page.js").write_text("//")


class Failing(Plain):
    """Writes half a file, and then fails."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def write(self, source: ExportSource, folder: Path) -> None:
        (folder / "model.bin").write_bytes(b"half")
        raise self.error


def original(source: ExportSource) -> PredictFunction:
    return Predictor(source.onnx).probabilities


def test_a_folder_holds_what_every_format_has(source: ExportSource, tmp_path: Path):
    """Beside the model lie its class names, pictures, calibration and figures as JSON, and the card as Markdown."""
    target = tmp_path / "deep" / "plain"
    verified = write_package(Plain(), source, original(source), target, 0)
    told = json.loads((target / "metadata.json").read_text(encoding="utf-8"))
    assert told["class_names"] == ["lying", "standing", "slanting"]
    assert told["input"] == {"height": 8, "width": 8, "channels": 1, "dtype": "uint8", "range": [0, 255]}
    assert (told["format"], told["resize"], told["temperature"]) == ("plain", "pad", source.temperature)
    assert told["verified"] == verified.to_dict()
    assert (verified.agreement, verified.largest_difference) == (1, 0)
    assert (target / "model-card.md").read_text(encoding="utf-8") == source.card
    assert [path.name for path in target.parent.iterdir()] == ["plain"]


def test_hostile_class_names_survive(run: Run, bars: Dataset, tmp_path: Path):
    """Markup, quotes, control characters and other scripts are in the metadata as they were."""
    source = source_of(run, bars, names=HOSTILE)
    write_package(Plain(), source, original(source), tmp_path / "x", 0)
    told = json.loads((tmp_path / "x" / "metadata.json").read_text(encoding="utf-8"))
    assert tuple(told["class_names"]) == HOSTILE


@pytest.mark.parametrize(
    "broken",
    [
        Plain(lambda rows: np.roll(rows, 1, axis=1)),
        Plain(lambda rows: rows * 3),
        Failing(ExportError("No.")),
        Failing(OSError(28, "No space left on device")),
        Failing(RuntimeError("basic_ios::clear")),
        Failing(KeyboardInterrupt()),
    ],
    ids=["shuffled", "no probabilities", "fails", "full disk", "a converter's own error", "Ctrl-C"],
)
@pytest.mark.parametrize("earlier", [False, True], ids=["nothing there", "an earlier one there"])
def test_what_is_broken_leaves_nothing(broken: Plain, earlier: bool, source: ExportSource, tmp_path: Path):
    """Whatever goes wrong, the folder is as it was before: not there, or the earlier export, file by file."""
    target = tmp_path / "exports" / "plain"
    if earlier:
        write_package(Plain(), source, original(source), target, 0)
    before = {path.name: path.read_bytes() for path in target.iterdir()} if earlier else None
    with pytest.raises((ExportError, OSError, KeyboardInterrupt)):
        write_package(broken, source, original(source), target, 0.005)
    assert target.exists() == earlier
    if before is not None:
        assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in target.parent.iterdir()] == (["plain"] if earlier else [])


def test_a_converters_own_error_is_one_sentence(source: ExportSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a guess where there is no room for as much as the model."""
    failing = Failing(RuntimeError("basic_ios::clear: iostream error\nat 0x0"))
    with pytest.raises(
        ExportError, match=r"^The export as plain cannot be written \(basic_ios::clear: iostream error\)\.$"
    ):
        write_package(failing, source, original(source), tmp_path / "x", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(ExportError, match=r"error\): is the disk full\?$"):
        write_package(failing, source, original(source), tmp_path / "x", 0)


def test_an_earlier_export_stays_where_the_new_one_cannot_come(
    source: ExportSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where the last rename fails, the one before it is taken back."""
    target = tmp_path / "plain"
    write_package(Plain(), source, original(source), target, 0)
    rename = Path.rename

    def failing(path: Path, to: Path) -> Path:
        if path.name.startswith(".tmp-"):
            raise OSError(5, "Input/output error")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        write_package(Plain(), source, original(source), target, 0)
    assert (target / "model.bin").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_what_is_no_export_is_left_alone(tmp_path: Path):
    """A file, a link, a folder with other things: a sentence; an empty folder may be filled."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    check_target(tmp_path / "folder")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "metadata.json").write_text('{"format": "mine"}')
    for name, reason in (("file", "is no folder"), ("link", "is no folder"), ("folder", "holds other things")):
        with pytest.raises(ExportError, match=f"{name}.*{reason}.*choose another `output`"):
            check_target(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
