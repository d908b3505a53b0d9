"""Pictures saved with their right labels."""

import errno
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.data.formats.folder import list_folder, read_class_names
from eyespot.serving import corrections
from eyespot.serving.corrections import folder_name
from eyespot.serving.problems import Refusal
from eyespot.serving.served_models import Deployment
from tests.serving.conftest import CORRECTIONS, PREDICT, Running, Start, digit, png
from tests.serving.models import NAMES, write_model

SEVEN = digit(7)


def saved(running: Running, folder: Path, query: str, content: bytes) -> Image.Image:
    answer = running.client.post(f"{CORRECTIONS}?{query}", content=content)
    assert answer.status_code == 201
    assert answer.json()["folder"] == str(folder)
    with Image.open(folder / answer.json()["saved"]) as opened:
        opened.load()
    return opened


def test_a_correction_is_a_picture_in_its_class_folder(start: Start, tmp_path: Path):
    """As `eyespot train` reads it: a folder a class, PNGs in them, whose names are their time and content."""
    running = start()
    for label in (7, 7, 1):
        saved(running, tmp_path / "corrections", f"label={label}", digit(label))
    found = list_folder(tmp_path / "corrections")
    assert [entry.label for entry in found.entries] == ["1", "7", "7"]
    assert not found.skipped
    names = sorted(path.name for path in (tmp_path / "corrections" / "7").iterdir())
    assert len({name.partition("-")[2] for name in names}) == 1
    assert all(len(name) == len("20260131T120000.000000Z-0123456789ab.png") for name in names)


def test_what_training_should_see_is_saved(start: Start, tmp_path: Path):
    """A photograph: the object as the model sees it; with as_is the photograph, upright, without its metadata."""
    running, folder = start(), tmp_path / "corrections"
    sheet = np.full((200, 120), 235, np.uint8)
    sheet[40:160, :] -= (np.asarray(Image.open(io.BytesIO(SEVEN)).resize((120, 120))) * 0.8).astype(np.uint8)
    photograph = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    Image.fromarray(sheet).save(photograph, "JPEG", exif=exif)
    content = photograph.getvalue()
    (told,) = running.client.post(f"{PREDICT}?seen=true", content=content).json()["predictions"]
    assert saved(running, folder, "label=7", content).size == (8, 8)
    assert saved(running, folder, "label=7&as_is=true", SEVEN).tobytes() == Image.open(io.BytesIO(SEVEN)).tobytes()
    kept = saved(running, folder, "label=7&as_is=true", content)
    assert kept.size == (200, 120)
    assert not kept.getexif()
    assert "box" in told


def test_a_large_picture_is_made_smaller(start: Start, tmp_path: Path):
    """So that a bound on their number bounds the disk."""
    assert saved(start(), tmp_path / "corrections", "label=7&as_is=1", png(np.zeros((30, 3000), np.uint8))).size == (
        1024,
        10,
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "label is missing"),
        ("label=", "label is missing"),
        ("label=11", "no class '11'"),
        ("label=..%2F..", "no class '../..'"),
        ("label=7", "not an image"),
        ("label=7&as_is=1", "not an image"),
    ],
)
def test_what_cannot_be_saved_is_told(shared: Running, query: str, said: str):
    """And nothing is written."""
    folder = shared.service.models["digits"].deployment.corrections
    assert folder is not None
    answer = shared.client.post(f"{CORRECTIONS}?{query}", content=b"x")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert not folder.exists()


def test_they_can_be_turned_off(start: Start, model_folder: Path):
    """Then the model says so too."""
    running = start(Deployment("digits", model_folder))
    assert running.client.post(f"{CORRECTIONS}?label=7", content=SEVEN).json()["reason"] == "corrections_off"
    assert not running.client.get("/v1/models/digits").json()["corrections"]


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "make room there"), (errno.EACCES, "let the server write there")]
)
def test_a_disk_that_takes_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
):
    """Full or closed, it is a sentence, no half file is left, and the next correction is saved once there is room."""
    running = start()

    def full(path: Path, content: bytes) -> int:
        raise OSError(number, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        answer = running.client.post(f"{CORRECTIONS}?label=7", content=SEVEN)
    assert (answer.status_code, answer.json()["reason"]) == (507, "disk")
    assert said in answer.json()["detail"]
    assert [path for path in (tmp_path / "corrections").rglob("*") if path.is_file()] == []
    saved(running, tmp_path / "corrections", "label=7", SEVEN)


def test_class_names_that_no_folder_may_have(start: Start, tmp_path: Path):
    """They are encoded, and a file beside says what the folders are called, as `train --class-names` reads it."""
    names = ("T-shirt/top", "a\\b", "..", "CON", "train", "x" * 300, "七", "50 %", "end.", "plain")
    offer = Deployment("odd", write_model(tmp_path / "odd", names).parent, tmp_path / "kept")
    running = start(offer)
    statuses = {}
    for name in names:
        answer = running.client.post("/v1/models/odd/corrections", params={"label": name}, content=SEVEN)
        statuses[name] = answer.status_code
    assert {name for name, status in statuses.items() if status != 201} == {"x" * 300}
    found = list_folder(tmp_path / "kept")
    called = read_class_names(tmp_path / "kept" / "class-names.json")
    assert {called[entry.label] for entry in found.entries} == set(names) - {"x" * 300}
    assert [skipped.file for skipped in found.skipped] == ["class-names.json"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        *((plain, plain) for plain in ("7", "T-shirt", "a.b", "é", "七", "a b", ".".join("ab"))),
        ("a/b", "a%2Fb"), ("a\\b", "a%5Cb"), ("..", "%2E%2E"), (".", "%2E"), (".x", "%2Ex"), ("x.", "x%2E"),
        ("a\0b", "a%00b"), ("a\nb", "a%0Ab"), ("a\x7fb", "a%7Fb"), ("100%", "100%25"), (" a ", "%20a%20"),
        ("nul", "%6Eul"), ("COM1.txt", "%43OM1.txt"), ("Train", "%54rain"), ("val", "%76al"),
        ("desktop.ini", "%64esktop.ini"), ("e\u0301", "e%CC%81"), ("\ud800", "%ED%A0%80"), ("a:b*c", "a%3Ab%2Ac"),
    ],
)  # fmt: skip
def test_folder_names(label: str, name: str):
    """What some system would refuse or misread is percent-encoded; two classes never share a folder."""
    assert folder_name(label) == name


@pytest.mark.parametrize("label", ["", "x" * 256, "é" * 128, "/" * 86])
def test_folder_names_have_1_to_255_bytes(label: str):
    """Others are refused; the longest that is not is taken."""
    with pytest.raises(Refusal, match="cannot name a folder"):
        folder_name(label)
    assert folder_name("x" * 255) == "x" * 255


def test_names_are_kept_once(tmp_path: Path):
    """A file that a user has changed is not written over."""
    kept = corrections.Corrections(tmp_path / "kept", 10)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "class-names.json").write_text("{}")
    kept.save(np.zeros((8, 8, 1), np.uint8), "a/b", ("a/b", *NAMES))
    assert json.loads((tmp_path / "kept" / "class-names.json").read_text()) == {}


def test_many_at_once(start: Start, tmp_path: Path):
    """Of eight clients' at a time, each is a file of its own."""
    running = start()

    def one(_: int) -> Any:
        return running.client.post(f"{CORRECTIONS}?label=7", content=SEVEN).json()["saved"]

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(one, range(40)))
    assert len(set(places)) == len(list((tmp_path / "corrections" / "7").glob("*.png"))) == 40


def test_two_servers_never_write_over_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same picture in the same microsecond by two servers is two files, and both count."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Stopped":
            return cls(2026, 1, 31, tzinfo=tz)

    monkeypatch.setattr(corrections, "datetime", Stopped)
    image = np.zeros((8, 8, 1), np.uint8)
    places = [corrections.Corrections(tmp_path, 10).save(image, "7", NAMES) for _ in range(3)]
    assert len(set(places)) == len(list((tmp_path / "7").iterdir())) == 3
