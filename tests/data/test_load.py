from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.data.load import load
from eyespot.errors import DataError
from eyespot.recipe.data_recipe import PicturesRecipe
from eyespot.run import Run


def make_folder(root: Path, size: tuple[int, int] = (8, 8), mode: str = "L", number: int = 6) -> Path:
    """Dark and light images, in a folder each."""
    for label, value in (("dark", 20), ("light", 230)):
        (root / label).mkdir(parents=True, exist_ok=True)
        for name in range(number):
            Image.new("L", size, value + name).convert(mode).save(root / label / f"{name}.png")
    return root


def test_a_folder_is_a_dataset(here: Path):
    """Pictures, labels, class names, files, and how it was read."""
    dataset = load(make_folder(here / "my images"))
    assert dataset.name == "my images"
    assert dataset.class_names == ("dark", "light")
    assert dataset.train.images.shape == (12, 8, 8, 1)
    assert dataset.train.labels.tolist() == [0] * 6 + [1] * 6
    assert dataset.train.files is not None
    assert dataset.train.files[0] == "dark/0.png"
    assert dataset.train.images[7].max() == 231
    assert dataset.origin is not None
    assert dataset.origin.pictures.size == (8, 8)


def test_the_commonest_size_is_taken_and_said(here: Path):
    """Pictures of other sizes are brought to it; large ones are made smaller; a stated size goes before."""
    root = make_folder(here / "set", (8, 8))
    Image.new("L", (20, 10), 9).save(root / "dark" / "wide.png")
    dataset = load(root)
    assert dataset.input_shape == (8, 8, 1)
    assert dataset.origin is not None
    assert "12 of 13 images are 8x8" in dataset.origin.notes[0]
    assert load(root, PicturesRecipe(size=(5, 7))).input_shape == (5, 7, 1)
    large = load(make_folder(here / "large", (640, 480)))
    assert large.input_shape == (120, 160, 1)


def test_grey_or_colour_is_told_by_the_pixels(here: Path):
    """Grey images stored in colour are grey; one colour makes all colour; a stated choice goes before."""
    root = make_folder(here / "set", mode="RGB")
    assert load(root).input_shape == (8, 8, 1)
    assert load(root, PicturesRecipe(color=True)).input_shape == (8, 8, 3)
    Image.new("RGB", (8, 8), (250, 10, 10)).save(root / "dark" / "red.png")
    assert load(root).input_shape == (8, 8, 3)


def test_what_is_left_out_is_listed_with_reasons(here: Path):
    """Broken files, bombs and other files are named, the rest is read."""
    root = make_folder(here / "set")
    (root / "dark" / "broken.png").write_bytes((root / "dark" / "0.png").read_bytes()[:40])
    (root / "dark" / "empty.jpg").touch()
    (root / "light" / "notes.txt").write_text("hello")
    Image.new("L", (100, 100)).save(root / "light" / "big.png")
    dataset = load(root, PicturesRecipe(max_pixels=9_999))
    assert dataset.origin is not None
    reasons = {skipped.file: skipped.reason for skipped in dataset.origin.skipped}
    assert set(reasons) == {"dark/broken.png", "dark/empty.jpg", "light/notes.txt", "light/big.png"}
    assert reasons["dark/empty.jpg"] == "it is empty"
    assert reasons["light/big.png"] == "it has 10,000 pixels; the limit is 9,999. Make it smaller first"
    assert len(dataset.train) == 12
    first = dataset.origin.skipped[0]
    assert dataset.origin.note_on_skipped == f"4 files are left out: {first.file} ({first.reason}), and 3 more."
    assert not any("left out" in note for note in dataset.origin.notes)
    assert dataset._repr_html_().count("4 files are left out") == 1


def test_an_animation_counts_by_its_first_frame(here: Path):
    """It is read, and said."""
    root = make_folder(here / "set")
    frames = [Image.new("L", (8, 8), value) for value in (11, 200)]
    frames[0].save(root / "dark" / "z.gif", save_all=True, append_images=frames[1:])
    dataset = load(root)
    assert dataset.origin is not None
    assert dataset.origin.notes == ("1 of the images is an animation: its first frame is taken.",)
    assert dataset.train.images[6].max() == 11


def test_classes_may_be_renamed_by_a_file(here: Path):
    """Folders get the names of a mapping, in its order; a folder that it lacks is told."""
    root = make_folder(here / "set")
    names = here / "names.yaml"
    names.write_text("light: Bright\ndark: Gloomy\n")
    assert load(root, PicturesRecipe(class_names=str(names))).class_names == ("Bright", "Gloomy")
    names.write_text("light: Bright\n")
    with pytest.raises(DataError, match="no name for 'dark'"):
        load(root, PicturesRecipe(class_names=str(names)))


@pytest.mark.parametrize("form", ["npz", "npy", "idx", "kaggle", "headless"])
def test_arrays_on_disk_are_datasets(here: Path, form: str):
    """The same images, in each form of arrays, are the same dataset."""
    images = np.random.default_rng(0).integers(0, 256, (10, 6, 6), dtype=np.uint8)
    labels = np.arange(10) % 3
    source = here / form
    if form == "npz":
        source = here / "a.npz"
        np.savez(source, x_train=images, y_train=labels)
    elif form == "npy":
        source.mkdir()
        np.save(source / "images.npy", images)
        np.save(source / "labels.npy", labels)
    elif form == "idx":
        source.mkdir()
        header = bytes([0, 0, 8, 3]) + b"".join(side.to_bytes(4, "big") for side in images.shape)
        (source / "my-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (source / "my-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1, 0, 0, 0, 10]) + labels.astype(np.uint8).tobytes()
        )
    else:
        source = here / "table.csv"
        rows = [",".join(map(str, (label, *image.ravel()))) for label, image in zip(labels, images, strict=True)]
        lines = ["label," + ",".join(f"pixel{number}" for number in range(36))] if form == "kaggle" else []
        source.write_text("\n".join(lines + rows) + "\n")
    dataset = load(source)
    assert dataset.class_names == ("0", "1", "2")
    assert np.array_equal(np.asarray(dataset.train.images)[..., 0], images)
    assert dataset.train.labels.tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda root: (root / "set").mkdir(), "holds no images"),
        (
            lambda root: Image.new("L", (8, 8)).save(root / "set", "PNG") or (root / "set").rename(root / "a.png"),
            "one image",
        ),
        (lambda root: (root / "a.zip").touch(), "unpack it"),
        (lambda root: (root / "a.docx").touch(), "is no dataset"),
        (lambda root: None, "There is no file or folder"),
    ],
)
def test_what_is_no_dataset_is_told(here: Path, make, told: str):
    """An empty folder, an image, an archive, any other file and a path to nothing get one sentence each."""
    make(here)
    source = next((path for path in here.iterdir() if path.name != "cache"), here / "nothing")
    with pytest.raises(DataError, match=told):
        load(source)


def test_a_run_is_no_dataset(run: Run):
    """It holds a table of predictions, and is not read as one."""
    with pytest.raises(DataError, match="is a run, not a dataset"):
        load(str(run.path))


def test_a_folder_without_a_readable_picture_is_told(here: Path):
    """Every file broken: the first one's fault is in the sentence."""
    (here / "set" / "dark").mkdir(parents=True)
    (here / "set" / "dark" / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds 1 image, but none that can be opened"):
        load(here / "set")


def test_own_pictures_go_before_a_dataset_of_the_same_name(here: Path):
    """A folder called digits is meant where it is there."""
    make_folder(here / "digits")
    assert isinstance(eyespot.load("digits"), Dataset)
    assert eyespot.load("digits").class_names == ("dark", "light")


def test_what_a_recipe_names_is_the_dataset(here: Path):
    """A folder called digits changes nothing for a recipe or a run that was made with the dataset of that name."""
    make_folder(here / "digits")
    assert load("digits", own_first=False).classes == 10
    recipe = Path(here / "mine.yaml")
    recipe.write_text("dataset: digits\nmodel: {name: mnist-mlp-one-hidden}\ntraining: {epochs: 1}\n", encoding="utf-8")
    run = eyespot.train(str(recipe), output="digits-run").run
    assert len(run.predictor().class_names) == 10
    assert eyespot.evaluate(run).n == 360
