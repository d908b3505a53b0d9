"""Duplicates: the same image twice, exactly or nearly; what matters most is one in two splits.

Near duplicates have descriptors that stay nearly the same where an image is stored again, resized or made brighter:
each is smoothed and sampled on a coarse grid, its mean taken away and its length made 1, so that neither brightness nor
contrast counts. Smoothing before sampling is what tells a resized copy from another image of the same kind: with a
Gaussian of 1.5 pixels on Fashion-MNIST, 99 % of changed copies lie nearer to their original than 0.0009, and 0.23 % of
other images that near to any; with means over blocks it is 3 % (benchmarks/audit.py).

A coarse grid does not tell two photographs apart whose objects differ little from a plain ground. In images of 56
pixels and more, near duplicates must agree in the detail that lies between the grid's smoothing and 1.5 pixels, too. Of
52 pairs of photographs of hands and of waste that agree on the grid alone, all are different photographs, and none has
a cosine above 0.82; of 1,600 changed copies none has one below 0.98.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from eyespot.data.dataset import Dataset, RowView, Split, chunks
from eyespot.errors import counted
from eyespot.shapes import Float32, Int64, Shaped

GRID = 9  # samples a side
SMOOTHING = 1.5 / 28  # of the image's side: the Gaussian's standard deviation
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601), as JPEG has it
CHROMA = 0.5  # weight of colour differences, which JPEG stores at half the size
BLANK = 1.0  # below this standard deviation, of 255, an image shows nothing to compare
NEAR = 7e-4  # 1 - cosine of two descriptors: chosen on 1,000 changed images, measured on others (benchmarks/audit.py)
FINEST = 1.5  # pixels: standard deviation of the Gaussian that takes away what a copy in JPEG or another size loses
DETAILED = 56  # pixels a side, from where an image has detail between `FINEST` and the grid's smoothing
SAME_DETAIL = 0.9  # cosine of two images' detail
KEPT_DETAILS = 256  # images, each as many numbers as pixels
BLOCK = 1 << 23  # cosines at a time: 32 MB
MANY = 20_000  # pairs in a block, as where whole classes are alike


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that are equal, or nearly so.

    Attributes:
        first: its split and row; so is `second`, in the same split or a later one.
        kind: `exact`: every pixel is equal; `near`: as if one were the other stored again, resized or made brighter.
        distance: 1 - cosine of their descriptors, 0 where exact.
    """

    first: tuple[str, int]
    second: tuple[str, int]
    kind: Literal["exact", "near"]
    distance: float

    @property
    def leaks(self) -> bool:
        """Whether the two images lie in different splits."""
        return self.first[0] != self.second[0]

    @property
    def equality(self) -> str:
        """How equal the images are, in words: `exactly equal` or `nearly equal`."""
        return "exactly equal" if self.kind == "exact" else "nearly equal"

    def to_dict(self, dataset: Dataset) -> dict[str, Any]:
        """Plain values, with each image's file and class."""
        sides = [_side(dataset, *side) for side in (self.first, self.second)]
        return {"kind": self.kind, "leak": self.leaks, "distance": self.distance, "pictures": sides}


def find_duplicates(dataset: Dataset, *, within: bool = True) -> list[DuplicatePair]:
    """Every pair of images that are equal or nearly so, leaks first, exact ones before near ones.

    Of images that are there many times, each is paired with the first of its split and of each other split. Exact
    ones are found by a hash of their pixels, near ones by the cosine of their descriptors, all with all, in blocks,
    and in images of 56 pixels and more by that of their detail.

    Args:
        within: also those in the same split, which takes the longest.
    """
    identities = _identities(dataset.splits)
    pairs = [*_exact(identities), *_near(dataset.splits, identities, within=within)]
    return sorted(
        (pair for pair in pairs if within or pair.leaks),
        key=lambda pair: (not pair.leaks, pair.kind, pair.distance, pair.second),
    )


def count_pairs(pairs: Sequence[DuplicatePair]) -> str:
    """Return the numbers in words: `1 pair of exactly equal images and 3 pairs of nearly equal images`."""
    exact = sum(pair.kind == "exact" for pair in pairs)
    return " and ".join(
        counted(number, f"pair of {kind} equal images", f"pairs of {kind} equal images")
        for kind, number in (("exactly", exact), ("nearly", len(pairs) - exact))
        if number
    )


def _side(dataset: Dataset, name: str, row: int) -> dict[str, Any]:
    split = dataset.splits[name]
    file = split.files[row] if split.files else None
    return {"split": name, "row": row, "file": file, "label": dataset.class_names[int(split.labels[row])]}


def _identities(splits: dict[str, Split]) -> dict[str, Int64[np.ndarray, " n"]]:
    """Return a number for each image, the same where every pixel is equal."""
    numbers: dict[bytes, int] = {}
    return {
        name: np.fromiter(
            (
                numbers.setdefault(hashlib.blake2b(picture.tobytes(), digest_size=16).digest(), len(numbers))
                for part in chunks(split.images)
                for picture in part
            ),
            np.int64,
            len(split),
        )
        for name, split in splits.items()
    }


def _exact(identities: dict[str, Int64[np.ndarray, " n"]]) -> list[DuplicatePair]:
    firsts = {name: _first_rows(numbers) for name, numbers in identities.items()}
    pairs = [
        DuplicatePair((name, firsts[name][number]), (name, row), "exact", 0.0)
        for name, numbers in identities.items()
        for row, number in enumerate(numbers.tolist())
        if firsts[name][number] != row
    ]
    for a, b in combinations(identities, 2):
        shared = firsts[a].keys() & firsts[b].keys()
        rows = {(row, firsts[b][n]) for row, n in enumerate(identities[a].tolist()) if n in shared}
        rows |= {(firsts[a][n], row) for row, n in enumerate(identities[b].tolist()) if n in shared}
        pairs += [DuplicatePair((a, row), (b, other), "exact", 0.0) for row, other in sorted(rows)]
    return pairs


def _first_rows(identities: Int64[np.ndarray, " n"]) -> dict[int, int]:
    """Return the first row of each identity."""
    numbers, rows = np.unique(identities, return_index=True)
    return dict(zip(numbers.tolist(), rows.tolist(), strict=True))


def _near(
    splits: dict[str, Split], identities: dict[str, Int64[np.ndarray, " n"]], *, within: bool
) -> Iterator[DuplicatePair]:
    """Yield the pairs of near duplicates whose pixels are not equal."""
    descriptors = {name: describe_images(split.images) for name, split in splits.items()}
    same_detail = _detail_comparison(splits)
    for a, b in combinations_with_replacement(splits, 2):
        if a == b and not within:
            continue
        for row, other, distance in _close(descriptors[a], descriptors[b], same=a == b):
            if identities[a][row] != identities[b][other] and same_detail((a, row), (b, other)):
                yield DuplicatePair((a, row), (b, other), "near", distance)


def describe_images(images: Shaped[np.ndarray, "..."] | RowView) -> Float32[np.ndarray, "n d"]:
    """A unit vector for each image; all 0 where an image is blank, so that it is like no other.

    The cosine of two is 1 where one image is the other with another brightness and contrast.
    """
    return np.concatenate([_describe_chunk(part) for part in chunks(images)])


def _describe_chunk(images: Shaped[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n d"]:
    height, width = images.shape[1:3]
    sigma = (0, height * SMOOTHING, width * SMOOTHING, 0)
    smooth = gaussian_filter(_luma_first(images.astype(np.float32)), sigma)
    rows, columns = (np.round((np.arange(GRID) + 0.5) * side / GRID - 0.5).astype(int) for side in (height, width))
    vectors = smooth[:, rows][:, :, columns].reshape(len(images), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    has_contrast = lengths > BLANK * np.sqrt(vectors.shape[1])
    return np.where(has_contrast, vectors / np.maximum(lengths, 1e-6), 0).astype(np.float32)


def _detail_comparison(splits: dict[str, Split]) -> Callable[[tuple[str, int], tuple[str, int]], bool]:
    """Return what says whether two images, each by split and row, agree in detail; small images always do."""
    height, width = splits["train"].images.shape[1:3]

    @lru_cache(KEPT_DETAILS)
    def detail(place: tuple[str, int]) -> Float32[np.ndarray, " pixels"]:
        name, row = place
        luma = _luma_first(np.asarray(splits[name].images[row])[np.newaxis].astype(np.float32))[0, ..., 0]
        band = gaussian_filter(luma, FINEST) - gaussian_filter(luma, (height * SMOOTHING, width * SMOOTHING))
        band -= band.mean()
        return (band / max(float(np.linalg.norm(band)), 1e-6)).ravel()

    def same_detail(first: tuple[str, int], second: tuple[str, int]) -> bool:
        return min(height, width) < DETAILED or float(detail(first) @ detail(second)) >= SAME_DETAIL

    return same_detail


def _luma_first(
    images: Float32[np.ndarray, "n height width channels"],
) -> Float32[np.ndarray, "n height width channels"]:
    """Return greyscale images as they are, and colour images as luma and two differences from it."""
    if images.shape[3] == 1:
        return images
    luma = images @ LUMA
    return np.stack([luma, CHROMA * (images[..., 0] - luma), CHROMA * (images[..., 2] - luma)], axis=3)


def _close(
    a: Float32[np.ndarray, "n d"], b: Float32[np.ndarray, "m d"], *, same: bool
) -> Iterator[tuple[int, int, float]]:
    """Yield the rows of both that lie near, with their distance; where very many do, only the nearest of each row."""
    step = max(1, BLOCK // max(1, len(b)))
    for start in range(0, len(a), step):
        cosines = a[start : start + step] @ b.T
        if same:  # each pair once, and no image with itself
            cosines[np.tril_indices(len(cosines), k=start, m=len(b))] = -1
        near = cosines >= 1 - NEAR
        if np.count_nonzero(near) > MANY:
            rows = np.flatnonzero(near.any(axis=1))
            others = cosines[rows].argmax(axis=1)
        else:
            rows, others = np.nonzero(near)
        distances = np.maximum(0, 1 - cosines[rows, others])
        yield from zip((rows + start).tolist(), others.tolist(), distances.tolist(), strict=True)


def leaking_rows(pairs: Iterable[DuplicatePair]) -> Int64[np.ndarray, " rows"]:
    """The training images that are in another split too."""
    return np.array(sorted({pair.first[1] for pair in pairs if pair.leaks and pair.first[0] == "train"}), np.int64)
