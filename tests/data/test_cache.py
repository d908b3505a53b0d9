import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.data import cache
from eyespot.data.cache import CachedPixels, cached_pixels
from eyespot.data.formats.folder import list_folder
from eyespot.data.picture import InputForm, Limits
from eyespot.errors import DataError

FORM = InputForm((4, 6, 1), "pad", Limits())


def nothing(done: int) -> None:
    pass


def pictures(root: Path, number: int) -> Path:
    """Pictures of one grey each, its number."""
    for value in range(number):
        path = root / "class" / f"{value:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), value % 256).save(path)
    return root


def read(root: Path, progress: Callable[[int], None] = nothing) -> CachedPixels:
    return cached_pixels(list_folder(root), FORM, progress)


def opened_pictures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with the first byte of each chunk that is decoded from now on."""
    calls: list[int] = []
    plain = cache.decode_into

    def counted(file: Path, start: int, *rest: Any) -> object:
        calls.append(start)
        return plain(file, start, *rest)

    monkeypatch.setattr(cache, "decode_into", counted)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    return calls


def test_pixels_are_mapped_in_the_listings_order(here: Path):
    """Row by row, what is in the map is what is in the files."""
    cached = read(pictures(here / "set", 20))
    assert isinstance(cached.pixels, np.memmap)
    assert cached.pixels[:, 0, 0, 0].tolist() == list(range(20))
    assert cached.sizes.tolist() == [[4, 6]] * 20
    assert not cached.faults


def test_what_cannot_be_read_is_named_and_black(here: Path):
    """A broken file costs its own row and nothing else; its reason says what is wrong."""
    root = pictures(here / "set", 3)
    (root / "class" / "0001.png").write_bytes(b"no picture")
    cached = read(root)
    assert cached.faults == {1: "it is not an image that can be opened"}
    assert cached.pixels[:, 0, 0, 0].tolist() == [0, 0, 2]


def test_nothing_is_opened_twice(here: Path, monkeypatch: pytest.MonkeyPatch):
    """An unchanged folder is read from its map; a changed, added or removed file makes another one."""
    root = pictures(here / "set", 5)
    read(root)
    calls = opened_pictures(monkeypatch)
    read(root)
    assert not calls
    Image.new("L", (60, 40), 77).save(root / "class" / "0002.png")
    assert read(root).pixels[2, 0, 0, 0] == 77
    assert calls
    (root / "class" / "0004.png").unlink()
    assert len(read(root).pixels) == 4


def test_an_interrupted_decoding_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch):
    """What was decoded before the interruption is not decoded again, and the result is the same."""
    monkeypatch.setattr(cache, "CHUNK", 4)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    root = pictures(here / "set", 18)

    def stop(done: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(root, stop)
    calls = opened_pictures(monkeypatch)
    told: list[int] = []
    cached = read(root, told.append)
    assert len(calls) == 3
    assert told == [12, 16, 18]
    assert cached.pixels[:, 0, 0, 0].tolist() == list(range(18))
    assert not list(here.glob("cache/**/journal.jsonl"))


def test_a_kill_costs_half_a_second(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Of the journal that a kill leaves, every whole line counts, and one that is cut short does not."""
    monkeypatch.setattr(cache, "CHUNK", 4)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    root = pictures(here / "set", 18)

    def stop(done: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(root, stop)
    (journal,) = here.glob("cache/**/journal.jsonl")
    journal.write_bytes(journal.read_bytes()[:-7])
    calls = opened_pictures(monkeypatch)
    assert read(root).pixels[:, 0, 0, 0].tolist() == list(range(18))
    assert len(calls) == 3


def test_several_processes_decode_alike(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Where there are many pictures, processes share the work; the map is the same."""
    root = pictures(here / "set", 40)
    alone = np.array(read(root).pixels)
    monkeypatch.setattr(cache, "CHUNK", 8)
    monkeypatch.setattr(cache, "VERSION", -1)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert np.array_equal(read(root).pixels, alone)


def test_a_full_disk_is_told_before_anything_is_decoded(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the map does not fit, nothing is begun."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(DataError, match="make room"):
        read(pictures(here / "set", 3))


def test_the_map_is_plain(here: Path):
    """NumPy and JSON read the cache without eyespot."""
    read(pictures(here / "set", 3))
    (folder,) = (here / "cache").glob("**/pictures/*")
    assert np.load(folder / "pixels.npy").shape == (3, 4, 6, 1)
    assert json.loads((folder / "pictures.json").read_text())[0] == [6, 4, 1, None]
