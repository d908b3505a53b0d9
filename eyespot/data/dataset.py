"""Dataset: labelled images as `uint8` arrays in up to three splits; a split may be rows of a larger array."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eyespot.data.in_memory import as_images, in_order, label_names
from eyespot.errors import DataError, counted
from eyespot.shapes import Int64, Shaped, UInt8

if TYPE_CHECKING:  # brings Pydantic, for which a server's start does not wait
    from eyespot.recipe.data_recipe import PicturesRecipe

AT_ONCE = 1 << 20  # bytes of pixels at a time when something is computed over all rows; as floats some times more
IMAGES_RANK = 4
SHOWN = 8  # training images of a class in a notebook


class RowView:
    """An array `[n, …]` that is made of `m` rows of another, in any order; read-only.

    What is taken from it is a NumPy array with a copy of the rows asked for. Behaves as an array in what a dataset
    needs: `shape`, `ndim`, `dtype`, `nbytes`, `len`, indexing, iteration, and `np.asarray`, which copies all.

    Args:
        base: usually a `np.memmap`.
        index: rows of `base`.
    """

    def __init__(self, base: Shaped[np.ndarray, "..."], index: Int64[np.ndarray, " m"]) -> None:
        self.base, self.index = base, index

    def __repr__(self) -> str:
        return f"RowView({len(self):,} of {len(self.base):,}, {self.dtype}, {list(self.shape)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the view."""
        return (len(self.index), *self.base.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.base.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of the elements."""
        return self.base.dtype

    @property
    def nbytes(self) -> int:
        """The bytes that a copy of all rows takes."""
        return len(self) * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """The bytes of one row."""
        return int(np.prod(self.base.shape[1:], dtype=np.int64)) * self.base.dtype.itemsize

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> Any:
        """A copy of one row, or of the rows that a slice, an array of numbers or a mask names."""
        rows: Shaped[np.ndarray, ...] = np.asarray(self.base[self.index[key]])
        return rows

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[np.ndarray, "..."]:
        if copy is False:
            raise ValueError("Rows of another array cannot be an array without a copy.")
        array: Shaped[np.ndarray, ...] = self[:]
        return array if dtype is None else array.astype(dtype, copy=False)

    def take(self, rows: Int64[np.ndarray, " k"]) -> "RowView":
        """Rows of these rows, again without a copy."""
        return RowView(self.base, self.index[rows])


@dataclass(frozen=True, eq=False)
class Split:
    """One split: images and their labels, row by row.

    Attributes:
        images: pixels 0-255 `[n, height, width, channels]`; `channels` is 1 (grey) or 3 (RGB). Rows of a memory map
            where a dataset lies on disk.
        labels: indices into the dataset's class names, `[n]`.
        files: where each image came from, if from files: a path below the source, or a table's row.
        sizes: `[n, 2]`, height and width of each image as it is stored, if it was brought to another size.

    Raises:
        DataError: it is empty, there are not as many labels as images, or either is not what it should be.
    """

    images: Shaped[np.ndarray, "..."] | RowView
    labels: Shaped[np.ndarray, "..."]
    files: tuple[str, ...] | None = None
    sizes: Int64[np.ndarray, "n 2"] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != IMAGES_RANK or self.images.dtype != np.uint8 or self.images.shape[3] not in (1, 3):
            raise DataError(
                "Images must be uint8 pixels 0-255 in [n, height, width, channels], 1 or 3 channels; "
                f"received {self.images.dtype} in {list(self.images.shape)}."
            )
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu":
            raise DataError(
                f"Labels must be integers in [n]; received {self.labels.dtype} in {list(self.labels.shape)}."
            )
        object.__setattr__(self, "labels", self.labels.astype(np.int64, copy=False))
        if len(self.images) != len(self.labels):
            raise DataError(f"{len(self.images):,} images, but {len(self.labels):,} labels: there must be one each.")
        if not len(self.images):
            raise DataError("A split holds no images.")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<Split of {counted(len(self), 'image')}, {shape_text(self.images.shape[1:])}>"

    def take(self, rows: Int64[np.ndarray, " m"]) -> "Split":
        """The given rows, in the given order."""
        images = self.images.take(rows) if isinstance(self.images, RowView) else self.images[rows]
        files = None if self.files is None else tuple(self.files[row] for row in rows)
        return Split(images, self.labels[rows], files, None if self.sizes is None else self.sizes[rows])


@dataclass(frozen=True)
class SkippedFile:
    """A file, or a row of a table, that is left out."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a user's own images lie, and what was made of them.

    Attributes:
        path: of the source, absolute.
        pictures: how they were read, with everything in it that was left open.
        skipped: what was left out.
        notes: messages for the user.
    """

    path: str
    pictures: "PicturesRecipe"
    skipped: tuple[SkippedFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def note_on_skipped(self) -> str | None:
        """A sentence on what was left out: how many, and the first with its reason; None where nothing was."""
        if not self.skipped:
            return None
        first, number = self.skipped[0], len(self.skipped)
        more = f", and {number - 1:,} more" if number > 1 else ""
        verb = "is" if number == 1 else "are"
        return f"{counted(number, 'file')} {verb} left out: {first.file} ({first.reason}){more}."


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images of one size, in up to three splits.

    Attributes:
        name: what runs made from it are called; it becomes part of a folder's name.
        class_names: one a class, no two the same; labels are indices into them.
        origin: of images that lie on the user's disk; None for arrays and for datasets that go by name.
        public: whether anybody may see the images, as those of the catalog; own ones are published only where asked.

    Raises:
        DataError: a label has no class name, two classes have the same, the splits' images differ in size, or the
            name cannot be a folder's.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    origin: Origin | None = None
    public: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w .+-]*", self.name):
            raise DataError(f"A dataset's name is letters, digits, '.', '-', '_' and '+'; received {self.name!r}.")
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if len(set(self.class_names)) < len(self.class_names):
            duplicate = next(name for name in self.class_names if self.class_names.count(name) > 1)
            raise DataError(f"{self.name}: two classes are named {duplicate!r}.")
        for name, split in self.splits.items():
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.class_names):
                raise DataError(
                    f"{self.name}: the {name} labels run from {low} to {high}, but there are "
                    f"{len(self.class_names)} class names (labels 0 to {len(self.class_names) - 1})."
                )
            if split.images.shape[1:] != self.input_shape:
                raise DataError(
                    f"{self.name}: the {name} images are {shape_text(split.images.shape[1:])}, "
                    f"the training images {shape_text(self.input_shape)}."
                )

    @classmethod
    def from_arrays(  # noqa: PLR0913 - each is one part of the dataset
        cls,
        images: Any,
        labels: Any,
        *,
        validation: tuple[Any, Any] | None = None,
        test: tuple[Any, Any] | None = None,
        class_names: Sequence[str] | None = None,
        value_range: tuple[float, float] | None = None,
        name: str = "arrays",
    ) -> "Dataset":
        """Make a dataset of what a program holds.

        Args:
            images: an array `[n, height, width]` or `[n, height, width, channels]` (uint8 0-255, or floats 0-255 or
                0-1); or a list of arrays, Pillow images, paths or files' contents, which are brought to one size.
            labels: one an image: whole numbers, text, or one-hot rows; an array, a list, or a column of a table.
            validation: images and labels.
            test: images and labels.
            class_names: what the labels 0, 1, … are called; None: the labels themselves, sorted.
            value_range: the numbers that stand for black and white, as (-1, 1); None: as above.
            name: what runs made from it are called.

        Raises:
            DataError: images or labels are not that; the error says which, and what was expected.
            PictureError: an image cannot be read.

        Example:
            >>> (x, y), test = keras.datasets.fashion_mnist.load_data()
            >>> dataset = eyespot.Dataset.from_arrays(x, y, test=test, name="fashion")
        """
        names = tuple(str(name) for name in class_names) if class_names is not None else None
        given = {"train": (images, labels), "validation": validation, "test": test}
        parts: dict[str, tuple[UInt8[np.ndarray, "n height width channels"], list[str]]] = {}
        for split, pair in given.items():
            if pair is not None:
                shape = parts["train"][0].shape[1:] if parts else None
                parts[split] = _labelled(pair, split, names, value_range=value_range, shape=shape)
        ordered = names or in_order(label for _, texts in parts.values() for label in texts)
        numbers = {label: number for number, label in enumerate(ordered)}
        splits: dict[str, Split] = {}
        for split, (pixels, texts) in parts.items():
            if strange := set(texts) - numbers.keys():
                raise DataError(f"The {split} label {min(strange)!r} is none of the class names.")
            splits[split] = Split(pixels, np.array([numbers[text] for text in texts], np.int64))
        return cls(name, ordered, splits["train"], splits.get("validation"), splits.get("test"))

    @property
    def splits(self) -> dict[str, Split]:
        """The splits there are, by name, in the order train, validation, test."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of every image."""
        return tuple(self.train.images.shape[1:])

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def class_counts(self, split: Split) -> Int64[np.ndarray, " classes"]:
        """Return the number of images of each class in a split."""
        return np.bincount(split.labels, minlength=self.classes).astype(np.int64)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        classes = counted(self.classes, "class", "classes")
        return f"<Dataset {self.name}: {sizes} images of {shape_text(self.input_shape)}, {classes}>"

    def _repr_html_(self) -> str:
        """Return the dataset as a notebook shows it: images of each class, and how many there are."""
        from eyespot.data.pixels import data_uri
        from eyespot.notebook import MOST_ROWS, card, notes, table, thumbnail

        counts = {name: self.class_counts(split) for name, split in self.splits.items()}
        rows: list[list[Any]] = []
        for label, name in enumerate(self.class_names):
            members = np.flatnonzero(self.train.labels == label)[:SHOWN] if label < MOST_ROWS else ()
            images = [np.asarray(self.train.images[row]) for row in members]
            strip = thumbnail(data_uri(*images), f"training images of {name}") if images else ""
            rows.append([name, strip, *(f"{count[label]:,}" for count in counts.values())])
        totals = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        subtitle = f"{totals} images of {shape_text(self.input_shape)}, {counted(self.classes, 'class', 'classes')}"
        columns = ("class", "some training images", *counts)
        remarks = notes(filter(None, (*self.origin.notes, self.origin.note_on_skipped))) if self.origin else None
        return card(self.name, subtitle, [table(columns, rows, text_columns=2), remarks])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every split's pixels and labels: equal where the data is equal."""
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            digest.update(f"{name} {split.images.shape}".encode())
            for pixels in chunks(split.images):
                digest.update(np.ascontiguousarray(pixels).data)
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()


def _labelled(
    pair: tuple[Any, Any],
    split: str,
    class_names: tuple[str, ...] | None,
    *,
    value_range: tuple[float, float] | None,
    shape: tuple[int, int, int] | None,
) -> tuple[UInt8[np.ndarray, "n height width channels"], list[str]]:
    """Return a split's pixels, and the name of each image's class."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2):  # noqa: PLR2004 - a pair
        raise DataError(f"The {split} split comes as (images, labels); received {type(pair).__name__}.")
    pixels = as_images(pair[0], f"The {split} images", value_range, shape)
    texts = label_names(pair[1], f"The {split} labels", class_names)
    if len(pixels) != len(texts):
        raise DataError(f"There are {len(pixels):,} {split} images, but {len(texts):,} labels: expected one each.")
    if None in texts:
        raise DataError(f"The {split} image {texts.index(None)} has no label: leave it out, or label it.")
    return pixels, [text for text in texts if text is not None]


def with_classes(dataset: Dataset, class_names: tuple[str, ...], of: str) -> Dataset:
    """The dataset with its labels as indices into a model's class names; it may have fewer classes.

    Args:
        of: the model, for the error.

    Raises:
        DataError: it has classes that the model does not know.
    """
    unknown = [name for name in dataset.class_names if name not in class_names]
    if unknown:
        known = ", ".join(class_names[:5]) + (", …" if len(class_names) > 5 else "")  # noqa: PLR2004
        raise DataError(
            f"{dataset.name} has classes that {of} was not trained on, such as {unknown[0]!r} (it has {known})."
        )
    if dataset.class_names == class_names:
        return dataset
    numbers = np.array([class_names.index(name) for name in dataset.class_names])
    relabelled = {name: replace(split, labels=numbers[split.labels]) for name, split in dataset.splits.items()}
    return Dataset(
        dataset.name,
        class_names,
        relabelled["train"],
        relabelled.get("validation"),
        relabelled.get("test"),
        dataset.origin,
        dataset.public,
    )


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text: 28x28x1."""
    return "x".join(str(side) for side in shape)


def chunks(images: Shaped[np.ndarray, "..."] | RowView) -> Iterator[Shaped[np.ndarray, "..."]]:
    """All rows in order, a few megabytes at a time, so that memory stays flat."""
    row_bytes = max(1, images.nbytes // max(1, len(images)))
    step = max(1, AT_ONCE // row_bytes)
    return (np.asarray(images[start : start + step]) for start in range(0, len(images), step))


def choose_examples(labels: Int64[np.ndarray, " n"], count: int) -> list[int]:
    """Rows of as many examples, always the same ones: the first of each class, then the second of each.

    Where there are more classes than examples, the classes are as far apart as they can be.
    """
    order = np.argsort(labels, kind="stable")
    classes, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    if len(classes) > count:
        spread = np.linspace(0, len(classes) - 1, count).round().astype(int)
        return [int(order[starts[index]]) for index in spread]
    rounds = range(int(sizes.max(initial=0)))
    rows = [order[start + turn] for turn in rounds for start, size in zip(starts, sizes, strict=True) if turn < size]
    return [int(row) for row in rows[:count]]
