import errno
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyespot.errors import CheckpointError
from eyespot.training import checkpoint
from eyespot.training.checkpoint import read_checkpoint, remove_unfinished, write_checkpoint

OLD = {"position": 1}, {"weights/0": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer/0": np.array(7)}
NEW = {"position": 2}, {"weights/0": np.full((2, 3), -0.0, np.float32), "optimizer/0": np.array(8)}
CALLS = ("mkdir", "open", "write", "fsync", "rename")  # of the system: all that a save makes
FAULTS: dict[str, BaseException] = {
    "ENOSPC": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "EIO": OSError(errno.EIO, os.strerror(errno.EIO)),
    "EACCES": PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    "stop": KeyboardInterrupt(),  # what no `except Exception` catches
}


class Calls:
    """Counts the calls of the system that a save makes, and lets the nth of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.fails_at: int | None = None
        self.fault: BaseException = KeyboardInterrupt()
        for name in CALLS:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.made.append(name)
            if len(self.made) - 1 != self.fails_at:
                return call(*arguments, **options)
            if name == "write":  # a part of it is on the disk already
                call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise self.fault

        return counted

    def start(self, fails_at: int | None, fault: BaseException = FAULTS["stop"]) -> None:
        self.made, self.fails_at, self.fault = [], fails_at, fault


@pytest.fixture
def calls() -> Iterator[Calls]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Calls(monkeypatch)


def same(
    read: tuple[dict[str, Any], dict[str, np.ndarray]], written: tuple[dict[str, Any], dict[str, np.ndarray]]
) -> bool:
    """Bit for bit."""
    (state, arrays), (old_state, old_arrays) = read, written
    return state == old_state and {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in old_arrays.items()
    }


def test_what_is_read_is_what_was_written(tmp_path: Path):
    """State and arrays come back bit for bit, dtypes and the sign of a zero included."""
    write_checkpoint(tmp_path / "one", *NEW)
    assert same(read_checkpoint(tmp_path / "one"), NEW)
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        "manifest.json", "manifest.sha256", "state.json", "arrays.npz"
    }  # fmt: skip


def test_a_number_type_numpy_does_not_know_is_widened(tmp_path: Path):
    """bfloat16 is stored as float32, which holds all of it; NumPy would forget what it was."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array([1.5, -3], ml_dtypes.bfloat16)
    write_checkpoint(tmp_path / "one", {}, {"weights/0": array})
    assert read_checkpoint(tmp_path / "one")[1]["weights/0"].tolist() == [1.5, -3]


def failed_save(
    folder: Path, calls: Calls, number: int, fault: BaseException, writer: Callable[..., None]
) -> str | None:
    """What a save whose nth call fails leaves wrong; None where nothing.

    There is an old checkpoint, and a new one is written. Afterwards the old or the new one must be read, whole; an
    error of the system must have become a CheckpointError; no other file may lie about.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    calls.start(None)
    writer(folder / "one", *OLD)
    calls.start(number, fault)
    try:
        writer(folder / "two", *NEW)
    except CheckpointError:
        pass
    except OSError as error:
        return f"{error!r} came out as it was"
    except KeyboardInterrupt as error:
        if error is not fault:
            raise
    calls.start(None)
    left = {path.name for path in folder.iterdir()}
    if left - {"one", "two"}:
        return f"{left} lie about"
    try:
        if not same(read_checkpoint(folder / "one"), OLD):
            return "the old one has changed"
        if "two" in left and not same(read_checkpoint(folder / "two"), NEW):
            return "the new one is another"
    except CheckpointError as error:
        return str(error)
    return None


def campaign(folder: Path, calls: Calls, writer: Callable[..., None]) -> tuple[int, list[str]]:
    """Every fault at every call of a save: how many were tried, and what went wrong."""
    calls.start(None)
    folder.mkdir(exist_ok=True)
    writer(folder / "counted", *NEW)
    number = len(calls.made)
    wrong = [
        f"{name} at call {place}: {problem}"
        for place in range(number)
        for name, fault in FAULTS.items()
        if (problem := failed_save(folder, calls, place, fault, writer))
    ]
    return number * len(FAULTS), wrong


def test_a_fault_at_any_call_leaves_the_old_or_the_new_one(tmp_path: Path, calls: Calls, tell: Callable[[str], None]):
    """A full disk, a broken one, a forbidden one, and a stop: at every open, write, sync and rename of a save."""
    tried, wrong = campaign(tmp_path / "faults", calls, write_checkpoint)
    tell(f"{tried} faults injected: {len(FAULTS)} kinds at every call of a save")
    assert tried >= 4 * 4 * 4
    assert set(calls.made) <= set(CALLS)
    assert not wrong


def written_in_place(path: Path, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """What one would write first: file after file, where it belongs."""
    path.mkdir(exist_ok=True)
    files = {"state.json": checkpoint._json(dict(state)), "arrays.npz": checkpoint._npz(arrays)}
    for name, data in files.items():
        checkpoint._write(path / name, data)
    manifest = {name: {"bytes": len(data), "sha256": checkpoint._sha256(data)} for name, data in files.items()}
    data = checkpoint._json({"format": 1, "files": manifest})
    checkpoint._write(path / "manifest.json", data)
    checkpoint._write(path / "manifest.sha256", f"{checkpoint._sha256(data)}  manifest.json\n".encode())


def test_the_fault_campaign_catches_a_writer_that_writes_in_place(tmp_path: Path, calls: Calls):
    """A control: without the sibling and the rename, the campaign finds half a checkpoint, and the system's errors."""
    _, wrong = campaign(tmp_path / "faults", calls, written_in_place)
    assert any("came out as it was" in problem for problem in wrong)
    assert any("cannot be read" in problem for problem in wrong)


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    """A sibling that was never renamed goes; whole checkpoints stay."""
    write_checkpoint(tmp_path / "one", *OLD)
    (tmp_path / ".tmp-1-two").mkdir()
    (tmp_path / ".tmp-1-two" / "state.json").touch()
    (tmp_path / ".tmp-2-file").touch()
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_damaged_one_of_the_same_name_is_replaced(tmp_path: Path):
    """Training that comes past a step again may write it again."""
    write_checkpoint(tmp_path / "one", *OLD)
    (tmp_path / "one" / "state.json").write_text("{}")
    write_checkpoint(tmp_path / "one", *NEW)
    assert same(read_checkpoint(tmp_path / "one"), NEW)


def flips_missed(path: Path, number: int, reader: Callable[[Path], object]) -> int:
    """How many of so many single bits, flipped one at a time anywhere in a checkpoint, a reader does not notice."""
    files = sorted(path.iterdir())
    sizes = [file.stat().st_size for file in files]
    generator, missed = random.Random(5), 0  # noqa: S311 - places, not secrets
    for _ in range(number):
        bit = generator.randrange(sum(sizes) * 8)
        file = files[0]
        for file, size in zip(files, sizes, strict=True):  # noqa: B007 - the one in which the bit lies
            if bit < size * 8:
                break
            bit -= size * 8
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            reader(path)
        except CheckpointError:
            pass
        else:
            missed += 1
        file.write_bytes(whole)
    return missed


def test_one_flipped_bit_is_told(tmp_path: Path, tell: Callable[[str], None]):
    """1,000 places, in any of the files: 1,000 detected."""
    write_checkpoint(tmp_path / "one", *NEW)
    missed = flips_missed(tmp_path / "one", 1000, read_checkpoint)
    tell(f"1000 bits flipped, {1000 - missed} detected")
    assert missed == 0


def test_flips_would_be_missed_without_the_hashes(tmp_path: Path):
    """A control: a reader that looks at no hash takes many of them."""

    def trusting(path: Path) -> None:
        try:
            json.loads((path / "state.json").read_bytes())
            checkpoint._read_npz((path / "arrays.npz").read_bytes())
        except Exception:  # noqa: BLE001 - whatever it notices
            raise CheckpointError("noticed") from None

    write_checkpoint(tmp_path / "one", *NEW)
    assert flips_missed(tmp_path / "one", 200, trusting) > 50


def sealed(path: Path, name: str, data: bytes) -> None:
    """Puts another file into a checkpoint, with hashes that fit: what a forger would do."""
    (path / name).write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    if name != "manifest.json":
        manifest["files"][name] = {"bytes": len(data), "sha256": checkpoint._sha256(data)}
        data = checkpoint._json(manifest)
    (path / "manifest.json").write_bytes(data)
    (path / "manifest.sha256").write_text(f"{checkpoint._sha256(data)}  manifest.json\n")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("state.json", b"[" * 100_000),
        ("state.json", b"[]"),
        ("state.json", b"\xff\xfe"),
        ("arrays.npz", b""),
        ("arrays.npz", b"PK\x03\x04 not really"),
        ("manifest.json", b"{}"),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"format": 1, "files": {"state.json": 3}}'),
    ],
)
def test_a_forged_one_is_refused_in_words(tmp_path: Path, name: str, data: bytes):
    """Hashes that fit make nothing right that is wrong."""
    write_checkpoint(tmp_path / "one", *OLD)
    sealed(tmp_path / "one", name, data)
    with pytest.raises(CheckpointError, match="one is damaged"):
        read_checkpoint(tmp_path / "one")


def test_a_compressed_or_pickled_array_is_refused(tmp_path: Path):
    """Compression could hide any size, and a pickle any code."""
    write_checkpoint(tmp_path / "one", *OLD)
    np.savez_compressed(tmp_path / "c.npz", zeros=np.zeros(10))
    sealed(tmp_path / "one", "arrays.npz", (tmp_path / "c.npz").read_bytes())
    with pytest.raises(CheckpointError, match="is compressed"):
        read_checkpoint(tmp_path / "one")
    np.savez(tmp_path / "p.npz", objects=np.array([{}], object))
    sealed(tmp_path / "one", "arrays.npz", (tmp_path / "p.npz").read_bytes())
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(tmp_path / "one")


def test_another_format_is_told(tmp_path: Path):
    """A checkpoint of a later version names both formats."""
    write_checkpoint(tmp_path / "one", *OLD)
    sealed(tmp_path / "one", "manifest.json", b'{"format": 2, "files": {}}')
    with pytest.raises(CheckpointError, match="format 2, and this eyespot reads 1"):
        read_checkpoint(tmp_path / "one")


def test_a_missing_one_is_told(tmp_path: Path):
    """So is one that lacks a file."""
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_checkpoint(tmp_path / "one")


def test_what_is_not_a_checkpoints_stays(tmp_path: Path):
    """A person's notes among checkpoints and temporary files, and what links point to, are never removed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "state.json").write_text("mine")
    (tmp_path / ".tmp-notes").write_text("mine")
    (tmp_path / ".tmp-folder").mkdir()
    (tmp_path / ".tmp-folder" / "state.json").write_text("mine")
    (tmp_path / f".tmp-{'0' * 32}-link").symlink_to(tmp_path / "mine")
    (tmp_path / f".tmp-{'0' * 32}-one").mkdir()
    (tmp_path / f".tmp-{'0' * 32}-one" / "notes").write_text("mine")
    write_checkpoint(tmp_path / "one", *OLD)
    (tmp_path / "one" / "notes").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    remove_unfinished(tmp_path)
    for name in ("one", "link"):
        with pytest.raises(CheckpointError, match="cannot be written"):
            write_checkpoint(tmp_path / name, *NEW)
    kept = ("mine/state.json", ".tmp-notes", ".tmp-folder/state.json", f".tmp-{'0' * 32}-one/notes", "one/notes")
    assert [(tmp_path / name).read_text() for name in kept] == ["mine"] * 5
