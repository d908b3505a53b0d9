import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from eyespot.data.audit.duplicates import (
    NEAR,
    DuplicatePair,
    count_pairs,
    describe_images,
    find_duplicates,
    leaking_rows,
)
from eyespot.data.dataset import Dataset, Split


def blobs(number: int, seed: int, channels: int = 1) -> np.ndarray:
    """Smooth pictures that are all different."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(40, 200, (number, 6, 6, 1)) + generator.integers(-20, 20, (number, 6, 6, channels))
    noise = noise.astype(np.uint8)
    large = [Image.fromarray(picture.squeeze()).resize((28, 28), Image.Resampling.BICUBIC) for picture in noise]
    return np.stack([np.asarray(picture).reshape(28, 28, channels) for picture in large])


def dataset(train: np.ndarray, test: np.ndarray) -> Dataset:
    def split(images: np.ndarray) -> Split:
        return Split(images, np.arange(len(images)) % 2)

    return Dataset("blobs", ("a", "b"), split(train), test=split(test))


def stored_again(picture: np.ndarray) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(content, "JPEG", quality=70)
    return np.asarray(Image.open(content)).reshape(picture.shape)


def resized(picture: np.ndarray) -> np.ndarray:
    smaller = Image.fromarray(picture.squeeze()).resize((21, 21), Image.Resampling.BICUBIC)
    return np.asarray(smaller.resize((28, 28), Image.Resampling.BICUBIC)).reshape(picture.shape)


def brighter(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture * 1.1, 0, 255).astype(np.uint8)


def test_different_pictures_are_not_paired():
    """Among pictures that only are of one kind, nothing is found."""
    assert find_duplicates(dataset(blobs(200, 1), blobs(100, 2))) == []


def test_equal_pictures_are_found_within_and_across_splits():
    """Each leak is listed with both its places; those within a split come after."""
    train, test = blobs(20, 1), blobs(10, 2)
    train[7] = train[3]
    test[4] = train[5]
    assert find_duplicates(dataset(train, test)) == [
        DuplicatePair(("train", 5), ("test", 4), "exact", 0.0),
        DuplicatePair(("train", 3), ("train", 7), "exact", 0.0),
    ]


@pytest.mark.parametrize("change", [stored_again, resized, brighter])
@pytest.mark.parametrize("channels", [1, 3])
def test_mildly_changed_copies_are_found(change, channels: int):
    """A copy stored as JPEG, resized there and back, or made brighter is near its original, in grey and in colour."""
    train, test = blobs(40, 1, channels), blobs(30, 2, channels)
    for row in range(30):
        test[row] = change(train[row])
    pairs = find_duplicates(dataset(train, test))
    assert {(pair.first, pair.second) for pair in pairs if pair.leaks} == {
        (("train", row), ("test", row)) for row in range(30)
    }
    assert all(pair.kind == "near" for pair in pairs)


def test_a_picture_in_three_places_leaks_from_each():
    """Both training copies of a test image are told, so that dropping them leaves none."""
    train, test = blobs(20, 1), blobs(10, 2)
    train[7] = train[3] = test[4]
    pairs = find_duplicates(dataset(train, test))
    assert leaking_rows(pairs).tolist() == [3, 7]


def test_only_leaks_may_be_asked_for():
    """Without those within a split, which take the longest."""
    train, test = blobs(20, 1), blobs(10, 2)
    train[7] = train[3]
    test[4] = train[5]
    assert [pair.leaks for pair in find_duplicates(dataset(train, test), within=False)] == [True]


def test_blank_pictures_are_like_no_other():
    """Two blank pictures of different greys are not called the same, equal ones are."""
    train, test = blobs(10, 1), blobs(10, 2)
    train[0], test[0], test[1] = 100, 101, 100
    pairs = find_duplicates(dataset(train, test))
    assert [(pair.first, pair.second, pair.kind) for pair in pairs] == [(("train", 0), ("test", 1), "exact")]
    assert not describe_images(train[:1]).any()


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch):
    """What is found does not depend on how many are compared at a time."""
    train, test = blobs(50, 1), blobs(50, 1)
    whole = find_duplicates(dataset(train, test))
    monkeypatch.setattr("eyespot.data.audit.duplicates.BLOCK", 120)
    assert find_duplicates(dataset(train, test)) == whole
    assert len(whole) == 50


def test_pairs_are_told_with_files_and_classes():
    """As plain values, both sides of a pair have their split, row, file and class."""
    train = Split(blobs(2, 1), np.array([0, 1]), ("a/x.png", "b/y.png"))
    test = Split(train.images[1:], np.array([0]), ("t/z.png",))
    both = Dataset("blobs", ("a", "b"), train, test=test)
    (pair,) = find_duplicates(both)
    assert pair.to_dict(both) == {
        "kind": "exact",
        "leak": True,
        "distance": 0.0,
        "pictures": [
            {"split": "train", "row": 1, "file": "b/y.png", "label": "b"},
            {"split": "test", "row": 0, "file": "t/z.png", "label": "a"},
        ],
    }


def test_thousands_of_equal_pictures_are_listed_once_each():
    """A set that is mostly one picture takes no more pairs than there are pictures in each place."""
    train, test = np.tile(blobs(1, 1), (3000, 1, 1, 1)), np.tile(blobs(1, 1), (1000, 1, 1, 1))
    pairs = find_duplicates(dataset(train, test))
    assert {pair.kind for pair in pairs} == {"exact"}
    assert len(pairs) == 2999 + 999 + 3000 + 999
    assert len(leaking_rows(pairs)) == 3000


def test_thousands_of_alike_pictures_are_listed_too():
    """Where all are near one another, each is listed with its nearest."""
    train = np.tile(blobs(1, 1), (400, 1, 1, 1))
    train[np.arange(400), np.arange(400) // 28, np.arange(400) % 28] += 1
    pairs = find_duplicates(dataset(train[:200], train[200:]), within=False)
    assert leaking_rows(pairs).tolist() == list(range(200))


def photographs(number: int, seed: int) -> np.ndarray:
    """Images of 96x96, each with small random marks on the same ground, lit from one side."""
    generator = np.random.default_rng(seed)
    ground = np.linspace(90, 200, 96)[:, np.newaxis] + np.linspace(0, 40, 96)
    images = np.repeat(ground[np.newaxis], number, axis=0)
    for image in images:
        for y, x in generator.integers(10, 80, (12, 2)):
            image[y : y + 4, x : x + 4] += generator.choice((-14, 14))
    return np.clip(images, 0, 255).astype(np.uint8)[..., np.newaxis]


def test_photographs_that_differ_in_small_things_are_no_duplicates():
    """On a coarse grid they are one image, lit as they are; their detail differs."""
    images = photographs(30, 1)
    described = describe_images(images)
    assert (described @ described.T).min() > 1 - NEAR
    assert find_duplicates(dataset(images, photographs(10, 2))) == []


@pytest.mark.parametrize("change", [stored_again, brighter])
def test_changed_copies_of_photographs_are_found(change: Callable[[np.ndarray], np.ndarray]):
    """Where images are large enough for their detail to be compared, too."""
    train, test = photographs(20, 1), photographs(10, 2)
    test[4] = change(train[5])
    (pair,) = find_duplicates(dataset(train, test))
    assert (pair.first, pair.second, pair.kind) == (("train", 5), ("test", 4), "near")


def test_pairs_are_counted_in_words():
    """By how equal they are, one and several."""
    exact = DuplicatePair(("train", 0), ("test", 0), "exact", 0.0)
    near = DuplicatePair(("train", 0), ("test", 1), "near", 1e-4)
    assert count_pairs([near]) == "1 pair of nearly equal images"
    assert count_pairs([exact, exact]) == "2 pairs of exactly equal images"
    assert count_pairs([exact, near, near]) == "1 pair of exactly equal images and 2 pairs of nearly equal images"
