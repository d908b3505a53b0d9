import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eyespot.data import catalog
from eyespot.data.formats.binary import parse_cifar
from eyespot.data.load import load
from eyespot.errors import DataError, DownloadError
from tests.conftest import needs_real_data
from tests.data.formats.test_binary import idx

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (12, 5, 5)).astype(np.uint8)
LABELS = (np.arange(12) % 10).astype(np.uint8)
PAIR = {"images-idx3-ubyte": idx(IMAGES), "labels-idx1-ubyte": idx(LABELS)}


@pytest.fixture
def folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that EYESPOT_DATA names; downloads have nowhere to come from."""
    monkeypatch.setenv("EYESPOT_DATA", str(here / "data"))
    for shelf in (catalog.MNIST, catalog.EMNIST, catalog.CIFAR10, catalog.CIFAR100):
        for file in shelf.files:
            object.__setattr__(file, "mirrors", ("http://127.0.0.1:9/",))
        shelf.__dict__.pop("folders", None)
    return here / "data"


def put(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def put_mnist(folder: Path, style: str) -> None:
    for stem in ("train", "t10k"):
        for name, content in PAIR.items():
            spelling = f"{stem}-{name}"
            if style == "gz":
                put(folder / "mnist", spelling + ".gz", gzip.compress(content))
            else:
                put(folder / "mnist", spelling.replace("-idx", ".idx") if style == "dotted" else spelling, content)


@pytest.mark.parametrize("style", ["plain", "dotted", "gz"])
def test_mnist_is_found_however_it_is_spelt(folder: Path, style: str):
    """Plain, gzipped, and the spelling with a dot are all read from the data folder."""
    put_mnist(folder, style)
    dataset = load("mnist")
    assert np.array_equal(dataset.train.images[..., 0], IMAGES)
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == LABELS.tolist()


def test_the_cache_is_looked_in_too(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a data folder the cache is used."""
    put_mnist(folder.parent / "cache" / "eyespot" / "datasets", "gz")
    monkeypatch.delenv("EYESPOT_DATA")
    assert len(load("mnist").train) == 12


def test_a_missing_dataset_says_where_to_put_it(folder: Path):
    """Not there and no network: the error names both folders that were looked in."""
    with pytest.raises(DownloadError) as caught:
        load("mnist")
    assert str(folder / "mnist") in str(caught.value)
    assert "cache" in str(caught.value)


def test_mismatched_files_are_told(folder: Path):
    """More labels than images means two files that do not belong together."""
    put_mnist(folder, "plain")
    put(folder / "mnist", "train-labels-idx1-ubyte", idx(LABELS[:7]))
    with pytest.raises(DataError, match=r"12 images and .* 7 labels"):
        load("mnist")


@pytest.mark.parametrize("cut", [5, 30, -8])
def test_a_truncated_gzip_is_told(folder: Path, cut: int):
    """A gzip file cut anywhere is refused with its path."""
    put_mnist(folder, "gz")
    put(folder / "mnist", "train-images-idx3-ubyte.gz", gzip.compress(PAIR["images-idx3-ubyte"])[:cut])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is truncated"):
        load("mnist")


def test_a_file_that_is_not_gzipped_is_told(folder: Path):
    """A plain file under a gzip name is refused, not read as noise."""
    put_mnist(folder, "gz")
    put(folder / "mnist", "train-images-idx3-ubyte.gz", PAIR["images-idx3-ubyte"])
    with pytest.raises(DataError, match="not gzipped"):
        load("mnist")


def test_emnist_is_read_from_its_archive_upright(folder: Path):
    """The zip is read in place; images are turned upright and letters counted from 0."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for stem in ("emnist-letters-train", "emnist-letters-test"):
            archive.writestr(f"gzip/{stem}-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES)))
            archive.writestr(f"gzip/{stem}-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS + 1)))
    put(folder / "emnist-letters", "gzip.zip", content.getvalue())
    dataset = load("emnist-letters")
    assert np.array_equal(dataset.train.images[..., 0], IMAGES.transpose(0, 2, 1))
    assert dataset.train.labels.tolist() == LABELS.tolist()
    assert dataset.class_names[0] == "a"


def cifar_rows(label_bytes: int) -> bytes:
    pixels = GENERATOR.integers(0, 256, (4, 3072)).astype(np.uint8)
    labels = np.tile(np.arange(4, dtype=np.uint8)[:, None] % 2, (1, label_bytes))
    return np.concatenate([labels, pixels], axis=1).tobytes()


def test_cifar_is_read_from_its_archive(folder: Path):
    """The tar is read in place, five batches in order, class names from the file beside them."""
    content = io.BytesIO()
    rows = cifar_rows(1)
    members = {f"data_batch_{n}.bin": rows for n in range(1, 6)} | {
        "test_batch.bin": rows,
        "batches.meta.txt": b"cat\ndog\n\n",
    }
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    put(folder / "cifar10", "cifar-10-binary.tar.gz", content.getvalue())
    dataset = load("cifar10")
    assert dataset.class_names == ("cat", "dog")
    assert dataset.train.images.shape == (20, 32, 32, 3)
    put(folder / "cifar10", "cifar-10-binary.tar.gz", content.getvalue()[:3000])
    with pytest.raises(DataError, match=r"tar\.gz is truncated"):
        load("cifar10")


def test_cifar100_takes_the_fine_label(folder: Path):
    """Loose files are read as well, and the second of the two labels counts."""
    rows = bytearray(cifar_rows(2))
    rows[0] = 77  # the coarse label of the first image
    for name, data in {"train.bin": bytes(rows), "test.bin": bytes(rows), "fine_label_names.txt": b"a\nb\n"}.items():
        put(folder / "cifar100" / "cifar-100-binary", name, data)
    assert load("cifar100").train.labels.tolist() == [0, 1, 0, 1]


def test_cifar_planes_become_channels():
    """The first 1,024 bytes are red, row by row."""
    row = bytes([9]) + bytes([1] * 1024) + bytes([2] * 1024) + bytes([3] * 1024)
    images, labels = parse_cifar(row, "a")
    assert images[0, 5, 7].tolist() == [1, 2, 3]
    assert labels.tolist() == [9]
    with pytest.raises(DataError, match="truncated"):
        parse_cifar(row[:-1], "a")


def test_digits_are_whole_and_divided_the_same_always():
    """The embedded digits have 1,797 images over the full range of bytes, a fixed fifth of them for testing."""
    first, second = load("digits"), load()
    assert first.test is not None
    assert (len(first.train), len(first.test)) == (1437, 360)
    assert (np.min(first.train.images), np.max(first.train.images)) == (0, 255)
    assert first.fingerprint == second.fingerprint


def test_an_unknown_dataset_is_told():
    """A misspelt name is answered with the nearest."""
    with pytest.raises(DataError, match="Did you mean 'fashion-mnist'"):
        load("fashon-mnist")


@needs_real_data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_sets_are_read(name: str):
    """60,000 and 10,000 images of 28x28; the test sets of both begin as published."""
    dataset = load(name)
    assert dataset.test is not None
    assert dataset.train.images.shape == (60000, 28, 28, 1)
    first = {"mnist": [7, 2, 1, 0, 4, 1, 4, 9, 5, 9], "fashion-mnist": [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]}
    assert dataset.test.labels[:10].tolist() == first[name]


def test_nothing_below_the_data_folder_is_written_over(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where the cache is the same folder, a half file there is the user's, and a wrong one is only told."""
    monkeypatch.setenv("EYESPOT_CACHE", str(folder))
    monkeypatch.setenv("EYESPOT_DATA", str(folder / "datasets"))
    name = "train-images-idx3-ubyte.gz"
    put(folder / "datasets" / "mnist", f"{name}.part", b"mine" * 3_000_000)
    with pytest.raises(DownloadError, match="lies below EYESPOT_DATA, where nothing is written over: move it away"):
        load("mnist")
    assert (folder / "datasets" / "mnist" / f"{name}.part").stat().st_size == 12_000_000
    put(folder / "datasets" / "mnist", name, b"not gzipped")
    with pytest.raises(DataError, match="is not gzipped"):
        load("mnist")
    assert (folder / "datasets" / "mnist" / name).read_bytes() == b"not gzipped"
