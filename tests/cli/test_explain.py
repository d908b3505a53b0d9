import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot.data.dataset import Dataset, Split
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.workflow.explain import explain
from eyespot.workflow.train import train
from tests.cli.test_own_pictures import folder, written  # noqa: F401 - fixtures
from tests.conftest import Answer, make_split

Command = Callable[..., Answer]


@pytest.fixture
def pictures(bars: Dataset, here: Path) -> list[Path]:
    """Two training images, and one in colour and of another size."""
    paths = [here / name for name in ("one.png", "two.png", "wide.jpg")]
    for row, path in enumerate(paths[:2]):
        Image.fromarray(np.asarray(bars.train.images[row])[..., 0]).save(path)
    Image.new("RGB", (40, 20), (20, 30, 90)).save(paths[2])
    return paths


def test_explain_draws_each_picture_and_the_filters_once(eyespot: Command, run: Run, pictures: list[Path], here: Path):
    """A folder a picture, what was found as JSON, notes on standard error; of another size, resized."""
    answer = eyespot("explain", run.path, *pictures, "--output", "out", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert [Path(one["file"]).name for one in found["pictures"]] == ["one.png", "two.png", "wide.jpg"]
    for one, stem in zip(found["pictures"], ("one", "two", "wide"), strict=True):
        assert one["figures"] == [f"out/{stem}/explanation.png", f"out/{stem}/features.png"]
        assert all(Path(path).is_file() for path in one["figures"])
        assert one["label"] == one["top"][0]["label"]
        assert one["completeness"]["share"] <= 0.01
        assert one["arrays"] is None
    assert Path(found["filters"]).is_file()
    assert not list(here.rglob("*.npz"))
    assert sum("Grad-CAM is left out" in note for note in found["notes"]) == 1
    assert any("trained on arrays (bars), which are not kept" in note for note in found["notes"])
    assert "Grad-CAM is left out" in answer.err


def test_nothing_is_overwritten(eyespot: Command, run: Run, pictures: list[Path]):
    """A second explanation of a picture gets a folder of its own, in the run where no other is named."""
    own = Path("copy")
    shutil.copytree(run.path, own)
    for _ in range(2):
        answer = eyespot("explain", own, pictures[0], "--method", "occlusion")
        assert answer.code == 0
    assert sorted(path.name for path in (own / "explanations").iterdir()) == ["one", "one-2"]
    assert "copy/explanations/one-2/explanation.png" in answer.out
    assert [path.name for path in (own / "explanations" / "one").iterdir()] == ["explanation.png"]


def test_what_is_taken_out_of_dark_objects_is_paper(tmp_path: Path):
    """Of pictures on a plain light background, covers show that background, and not black."""
    images = np.full((60, 12, 12, 1), 255, np.uint8)
    labels = np.arange(60) % 2
    for image, label in zip(images, labels, strict=True):
        image[3:9, 5:7] = 0
        image[3:5, 5 : 7 + 2 * label] = 0
    split = Split(images, labels.astype(np.int64))
    recipe = Recipe.parse({"model": {"name": "mlp"}, "training": {"epochs": 1}})
    trained = train(Dataset("ink", ("bar", "flag"), split, test=split), recipe, tmp_path / "run").run
    looks = trained.predictor().appearance
    assert looks is not None
    assert (looks.plain, looks.background) == (True, 1.0)
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "one.png")
    (one,) = explain(trained, tmp_path / "one.png", methods=["occlusion"], output=tmp_path / "out").pictures
    assert one.found.background.tolist() == [255.0]


def test_arrays_are_the_maps(run: Run, bars: Dataset, pictures: list[Path]):
    """`save` writes what was found, without pickle; the nearest to a training image is itself."""
    found = explain(run, pictures[0], on=bars, save=True, output="out")
    (one,) = found.pictures
    assert one.arrays == Path("out/one/arrays.npz")
    with np.load(one.arrays, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["image"], bars.train.images[0])
        for method, values in one.found.maps.items():
            np.testing.assert_array_equal(arrays[method.replace("-", "_")], values)
        assert one.found.completeness
        total = one.found.completeness.difference + one.found.completeness.gap
        assert arrays["integrated_gradients"].sum() == pytest.approx(total, abs=1e-3)
        assert arrays["nearest_rows"][0] == 0
        features = sorted(name for name in arrays.files if name.startswith("features_"))
        assert arrays[features[-1]][arrays["label"]] == pytest.approx(one.found.logit, abs=1e-4)
    assert (one.nearest[0].row, one.nearest[0].label) == (0, bars.class_names[bars.train.labels[0]])
    assert one.nearest[0].similarity == pytest.approx(1, abs=1e-5)


def test_another_class_can_be_asked_about(eyespot: Command, run: Run, pictures: list[Path]):
    """Every class has a map of its own; a name that is none is answered with the nearest, before anything is drawn."""
    maps = {}
    for name in ("lying", "standing"):
        found = explain(run, pictures[0], label=name, methods=["occlusion"], output=name)
        maps[name] = found.pictures[0].found.maps["occlusion"]
        assert found.pictures[0].label == name
    assert np.abs(maps["lying"] - maps["standing"]).max() > 0.1
    answer = eyespot("explain", run.path, pictures[0], "--class", "standin", "--output", "none")
    assert answer.code == 1
    assert "Did you mean 'standing'?" in answer.err
    assert not Path("none").exists()


def test_what_cannot_be_explained_is_told_in_a_sentence(eyespot: Command, run: Run, pictures: list[Path], here: Path):
    """An unknown method, no such run, a run half there."""
    answer = eyespot("explain", run.path, pictures[0], "--method", "grad-cam")
    assert (answer.code, "Did you mean 'gradcam'?" in answer.err) == (1, True)
    assert "There is no run at nothing" in eyespot("explain", "nothing", pictures[0]).err
    for missing in ("model.keras", "model.onnx"):
        half = here / f"without-{missing}"
        shutil.copytree(run.path, half)
        (half / missing).unlink()
        answer = eyespot("explain", half, pictures[0])
        assert answer.code == 1
        assert f"has no {missing}" in answer.err


def test_pictures_that_cannot_be_read_are_named(eyespot: Command, run: Run, pictures: list[Path], here: Path):
    """The others are explained, and the exit code is 1."""
    (here / "broken.png").write_bytes(b"no picture")
    arguments = ("--method", "occlusion", "--output", "out")
    answer = eyespot("explain", run.path, "broken.png", pictures[0], "missing.png", *arguments)
    assert answer.code == 1
    assert "broken.png is not an image" in answer.err
    assert "There is no file missing.png" in answer.err
    assert Path("out/one/explanation.png").is_file()


def test_near_pictures_are_those_of_the_runs_own_folder(eyespot: Command, folder: Path, here: Path):  # noqa: F811
    """With their files; where the folder is gone only they are left out, with a sentence, unless it is named."""
    eyespot("train", "bars", "--model", "cnn", "--epochs", 1, "--seed", 3, "--output", "r")
    picture = sorted((folder / "train" / "standing").iterdir())[5]
    shutil.copy(picture, here / "picture.png")
    arguments = ("explain", "r", "picture.png", "--method", "similar", "--method", "hirescam", "--json")
    found = json.loads(eyespot(*arguments).out)
    near = found["pictures"][0]["nearest"]
    assert near[0]["similarity"] >= near[-1]["similarity"]
    assert near[0]["file"].endswith(".png")
    folder.rename(here / "elsewhere")
    gone = json.loads(eyespot(*arguments).out)
    assert gone["pictures"][0]["nearest"] == []
    assert any("no longer at" in note for note in gone["notes"])
    named = json.loads(eyespot(*arguments, "--on", "elsewhere").out)
    assert named["pictures"][0]["nearest"][0]["file"] == str(picture.relative_to(folder))
    assert named["pictures"][0]["nearest"][0]["similarity"] == pytest.approx(1, abs=1e-4)


def test_colour_pictures_are_explained_too(here: Path):
    """A network with convolutions on three channels: all maps, feature maps, filters and near pictures."""
    colours = Dataset("colours", ("a", "b", "c"), make_split(20, 1, (12, 10, 3)), test=make_split(4, 2, (12, 10, 3)))
    recipe = Recipe.parse({"model": {"name": "mnist-cnn-small"}, "training": {"epochs": 1, "precision": "float32"}})
    done = train(colours, recipe, here / "r")
    Image.fromarray(np.asarray(colours.train.images[7])).save(here / "colour.png")
    found = explain(done.run, here / "colour.png", on=colours)
    (one,) = found.pictures
    assert set(one.found.maps) == {"gradcam", "hirescam", "occlusion", "integrated-gradients"}
    assert all(values.shape == (12, 10) for values in one.found.maps.values())
    assert one.found.background.shape == (3,)
    assert one.nearest[0].row == 7
    assert found.filters
    assert all(path.is_file() for path in (*one.figures, found.filters))


OWN_LAYER = """
import keras

@keras.saving.register_keras_serializable("mine")
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs

def model(input_shape, classes):
    stack = [keras.Input(input_shape), keras.layers.Rescaling(1 / 255), Twice(), keras.layers.Flatten()]
    return keras.Sequential([*stack, keras.layers.Dense(classes, activation="softmax")])
"""


@pytest.mark.usefixtures("few_digits")
def test_a_layer_of_ones_own_is_refused_unless_trusted(eyespot: Command, pictures: list[Path], here: Path):
    """The sentence names the class and what to pass; with it the model is explained."""
    (here / "mine.py").write_text(OWN_LAYER)
    eyespot("train", "digits", "--model", "mine.py:model", "--epochs", 1, "--output", "r")
    answer = eyespot("explain", "r", pictures[0], "--method", "occlusion")
    assert answer.code == 1
    assert "'Twice'" in answer.err
    assert "--trust" in answer.err
    assert eyespot("explain", "r", pictures[0], "--method", "occlusion", "--trust").code == 0


def test_explanations_are_written_over_no_other_file(eyespot: Command, run: Run, pictures: list[Path], here: Path):
    """A person's filters.png stays beside eyespot's, which is written again; a picture named as folder is refused."""
    (here / "out").mkdir()
    (here / "out" / "filters.png").write_text("mine")
    for _ in range(2):
        answer = eyespot("explain", run.path, pictures[0], "--method", "filters", "--output", "out", "--json")
        assert json.loads(answer.out)["filters"] == "out/filters-2.png"
    assert (here / "out" / "filters.png").read_text() == "mine"
    before = pictures[0].read_bytes()
    answer = eyespot("explain", run.path, pictures[0], "--output", pictures[0])
    assert (answer.code, answer.err) == (
        1,
        f"eyespot: {pictures[0]} is a file, and is left alone: --output names a folder.\n",
    )
    assert pictures[0].read_bytes() == before


def test_drawn_steps_are_written_over_no_other_file(eyespot: Command, run: Run, pictures: list[Path]):
    """A link that leads nowhere, at the name of the drawing, is somebody's too."""
    own = Path("copy")
    shutil.copytree(run.path, own)
    (own / "predictions").mkdir()
    (own / "predictions" / "one-steps.png").symlink_to("nowhere")
    answer = eyespot("predict", own, pictures[0], "--show")
    assert answer.code == 0, answer.err
    assert (own / "predictions" / "one-steps.png").is_symlink()
    assert (own / "predictions" / "one-steps-2.png").is_file()
