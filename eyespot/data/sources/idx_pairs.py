"""IDX files anywhere: `*-images-idx3-ubyte` with `*-labels-idx1-ubyte` of the same stem, plain or gzipped."""

from pathlib import Path

from eyespot.data.idx import parse_images, parse_labels
from eyespot.data.shelf import read_plain
from eyespot.data.sources.array_values import Labelled, labelled
from eyespot.data.sources.listing import split_named
from eyespot.errors import DataError

TEST_STEM = "t10k"  # as MNIST calls it


def idx_images(path: Path) -> list[Path]:
    """The files of pictures that a path means: itself, or those in a folder; none where there are no such files."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if "images" in file.name and "idx3" in file.name and file.is_file()]


def read_idx_pairs(images: list[Path]) -> dict[str, Labelled]:
    """Labelled pictures by split, which a stem names: `train`, `t10k` or `test`, `val`; a single pair is for training.

    Raises:
        DataError: labels are missing, a file is damaged, or two pairs are of the same split.
    """
    pairs: dict[str, Labelled] = {}
    for path in images:
        beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
        spellings = (beside, beside.with_name(beside.name.removesuffix(".gz")), beside.with_name(beside.name + ".gz"))
        labels = next((file for file in spellings if file.is_file()), None)
        if labels is None:
            raise DataError(f"{path} has no labels beside it: expected {beside}.")
        stem = path.name.partition("images")[0].rstrip("-_.")
        split = "test" if TEST_STEM in stem else _split(stem)
        if len(images) == 1:
            split = "train"
        if split in pairs:
            raise DataError(f"{path.parent} holds two sets of {split} pictures: name one file of pictures instead.")
        pixels, numbers = parse_images(read_plain(path), str(path)), parse_labels(read_plain(labels), str(labels))
        pairs[split] = labelled(pixels, numbers, str(path))
    return pairs


def _split(stem: str) -> str:
    parts = stem.replace("-", "_").replace(".", "_").split("_")
    return next((split for part in parts if (split := split_named(part))), "train")
