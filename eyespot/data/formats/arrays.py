"""Arrays of images and labels in `.npz` and `.npy` files."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eyespot.data.formats.listing import split_named
from eyespot.data.in_memory import label_names, pixels_of
from eyespot.errors import DataError, unknown
from eyespot.recipe.data_recipe import PicturesRecipe
from eyespot.shapes import Shaped

IMAGES = frozenset({"x", "image", "images", "data", "pictures", "features"})
LABELS = frozenset({"y", "label", "labels", "target", "targets"})
NAMES = frozenset({"class_names", "label_names", "names", "classes"})
ArrayFile = Mapping[str, Shaped[np.ndarray, "..."]]


@dataclass(frozen=True)
class ImagesWithClassNames:
    """Pictures and the names of their classes.

    Attributes:
        images: `uint8 [n, height, width, channels]`, 1 or 3 channels; still a memory map where it was one.
        labels: a name an image; None where there is none.
        class_names: in order, where that is known.
    """

    images: Shaped[np.ndarray, "..."]
    labels: list[str | None]
    class_names: tuple[str, ...] | None = None


def read_arrays(path: Path, recipe: PicturesRecipe) -> dict[str, ImagesWithClassNames]:
    """Labelled images from a `.npz` file, a `.npy` file with its labels beside it, or a folder of `.npy` files.

    The name of an array says what it holds, as Keras's `mnist.npz` has it (`x_train`, `y_test`) or in other usual ways
    (`train_images`, `val_labels`, `images`), or is stated. `.npy` files are mapped, not read.

    Returns:
        By split.

    Raises:
        DataError: a file is damaged, holds Python objects, or its arrays are not labelled images.
    """
    arrays = _open(path)
    if recipe.image_column or recipe.label_column:
        pairs = {"train": (_stated(path, arrays, recipe.image_column), _stated(path, arrays, recipe.label_column))}
    else:
        pairs = _guessed(path, arrays)
    names = next((arrays[name] for name in arrays if name.lower() in NAMES), None)
    class_names = None if names is None else tuple(str(name) for name in np.ravel(names))
    return {
        split: as_images_and_labels(arrays[images], arrays[labels], f"{path} ({images}, {labels})", class_names)
        for split, (images, labels) in pairs.items()
    }


def _open(path: Path) -> ArrayFile:
    if path.is_dir():
        return {file.stem: _mapped(file) for file in sorted(path.glob("*.npy"))}
    if path.suffix == ".npy":
        return {path.stem: _mapped(path)} | {
            file.stem: _mapped(file)
            for file in sorted(path.parent.glob("*.npy"))
            if (role := _role(file.stem)) and role[0] == "labels"
        }
    with _told_if_unreadable(path), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def _mapped(path: Path) -> Shaped[np.ndarray, "..."]:
    with _told_if_unreadable(path):
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))


@contextmanager
def _told_if_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise DataError(f"{path} holds Python objects, which are not opened: save plain arrays.") from None
        raise DataError(f"{path} is not a file of arrays that can be read ({error}).") from None


def _role(name: str) -> tuple[str, str] | None:
    """Return the role (images or labels) and the split that an array's name states; None where it states none."""
    parts = name.lower().replace("-", "_").split("_")
    roles = [role for part in parts for role, known in (("images", IMAGES), ("labels", LABELS)) if part in known]
    splits = [split for part in parts if (split := split_named(part))]
    return (roles[0], splits[0] if splits else "train") if len(roles) == 1 and len(splits) <= 1 else None


def _stated(path: Path, arrays: ArrayFile, name: str | None) -> str:
    if name is None:
        raise DataError(f"For {path}, state both arrays: `pictures.image_column` and `pictures.label_column`.")
    if name not in arrays:
        raise DataError(f"In {path}: " + unknown("array", name, arrays))
    return name


def _guessed(path: Path, arrays: ArrayFile) -> dict[str, tuple[str, str]]:
    """Return the names of the arrays of images and of labels, by split."""
    names_by_split: dict[str, dict[str, str]] = {}
    for name in arrays:
        if role := _role(name):
            names_by_split.setdefault(role[1], {}).setdefault(role[0], name)
    pairs = {split: (pair["images"], pair["labels"]) for split, pair in names_by_split.items() if len(pair) == 2}  # noqa: PLR2004
    if "train" not in pairs:
        raise DataError(
            f"{path} holds the arrays {', '.join(sorted(arrays)) or '(none)'}, of which none are images and labels "
            "by their names, such as x_train and y_train: name them with `pictures.image_column` and "
            "`pictures.label_column`."
        )
    return pairs


def as_images_and_labels(
    images: Shaped[np.ndarray, "..."],
    labels: Shaped[np.ndarray, "..."],
    where: str,
    class_names: tuple[str, ...] | None = None,
) -> ImagesWithClassNames:
    """Check arrays and bring them to a dataset's form.

    Args:
        images: as of `pixels_of`.
        labels: as of `label_names`.
        where: for the error.
        class_names: what whole numbers stand for.

    Raises:
        DataError: they are not that, or not of one length.
    """
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images):,} images, but {len(labels):,} labels: there must be one each.")
    return ImagesWithClassNames(pixels_of(images, where), label_names(labels, where, class_names), class_names)
