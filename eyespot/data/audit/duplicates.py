"""The same picture twice, exactly or nearly; what matters most is where it lies in two splits."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any, Literal

import numpy as np

from eyespot.data.audit.descriptors import describe
from eyespot.data.dataset import Dataset, Split
from eyespot.data.rows import chunks
from eyespot.shapes import Float32, Int64

NEAR = 7e-4  # 1 - cosine of two descriptors: chosen on 1,000 changed pictures, measured on others (benchmarks/audit.py)
BLOCK = 1 << 24  # cosines at a time: 64 MB
MOST = 20_000  # pairs listed of a kind; more are counted, as where whole classes are alike


@dataclass(frozen=True)
class Pair:
    """Two pictures that are the same.

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
        """Whether they lie in two splits."""
        return self.first[0] != self.second[0]

    def to_dict(self, dataset: Dataset) -> dict[str, Any]:
        """Plain values, with each picture's file and class."""
        sides = [_side(dataset, *side) for side in (self.first, self.second)]
        return {"kind": self.kind, "leak": self.leaks, "distance": self.distance, "pictures": sides}


def find_duplicates(dataset: Dataset, *, within: bool = True) -> list[Pair]:
    """Every pair of pictures that are the same, leaks first, exact ones before near ones.

    Of pictures that are there many times, each is paired with the first. Exact ones are found by a hash of their
    pixels, near ones by the cosine of their descriptors, all with all, in blocks.

    Args:
        within: also those in the same split, which takes the longest.
    """
    exact = _exact(dataset.splits)
    known = {frozenset((pair.first, pair.second)) for pair in exact}
    near = _near(dataset.splits, within=within)
    found = [*exact, *(pair for pair in near if frozenset((pair.first, pair.second)) not in known)]
    return sorted(
        (pair for pair in found if within or pair.leaks),
        key=lambda pair: (not pair.leaks, pair.kind, pair.distance, pair.second),
    )


def leaking_rows(pairs: Iterable[Pair]) -> Int64[np.ndarray, " rows"]:
    """The training pictures that are in another split too."""
    return np.array(sorted({pair.first[1] for pair in pairs if pair.leaks and pair.first[0] == "train"}), np.int64)


def _side(dataset: Dataset, name: str, row: int) -> dict[str, Any]:
    split = dataset.splits[name]
    file = split.files[row] if split.files else None
    return {"split": name, "row": row, "file": file, "label": dataset.class_names[int(split.labels[row])]}


def _exact(splits: dict[str, Split]) -> list[Pair]:
    places: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for name, split in splits.items():
        row = 0
        for part in chunks(split.images):
            for picture in part:
                places[hashlib.blake2b(picture.tobytes(), digest_size=16).digest()].append((name, row))
                row += 1
    pairs = []
    for same in places.values():
        firsts = {name: next(place for place in same if place[0] == name) for name in {place[0] for place in same}}
        within = [Pair(firsts[place[0]], place, "exact", 0.0) for place in same if place != firsts[place[0]]]
        order = list(splits)
        across = [
            Pair(a, b, "exact", 0.0)
            for a, b in combinations(same, 2)
            if a[0] != b[0] and order.index(a[0]) < order.index(b[0])
        ]
        pairs += within + across
    return pairs


def _near(splits: dict[str, Split], *, within: bool) -> list[Pair]:
    described = {name: describe(split.images) for name, split in splits.items()}
    return [
        Pair((a, row), (b, other), "near", distance)
        for a, b in combinations_with_replacement(splits, 2)
        if within or a != b
        for row, other, distance in _close(described[a], described[b], same=a == b)
    ]


def _close(
    a: Float32[np.ndarray, "n d"], b: Float32[np.ndarray, "m d"], *, same: bool
) -> Sequence[tuple[int, int, float]]:
    """Rows of both, and their distance, where that is small; the nearest of `a` first."""
    found: list[tuple[int, int, float]] = []
    step = max(1, BLOCK // max(1, len(b)))
    for start in range(0, len(a), step):
        cosines = a[start : start + step] @ b.T
        rows, others = np.nonzero(cosines >= 1 - NEAR)
        distances = np.maximum(0, 1 - cosines[rows, others])
        found += [
            (int(row) + start, int(other), float(distance))
            for row, other, distance in zip(rows, others, distances, strict=True)
            if not same or row + start < other
        ]
        if len(found) > MOST:
            break
    return sorted(found, key=lambda pair: pair[2])[:MOST]
