"""Training on a pretrained backbone: from a folder of pictures to a run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot import Recipe, Run, look, train
from eyespot.errors import ModelError
from eyespot.models.backbones import efficientnet_lite
from eyespot.models.backbones.efficientnet_lite import LITE
from eyespot.models.backbones.pretrained import build_on_backbone
from tests.conftest import Answer, make_split

LITE0 = "efficientnet-lite0"
SHAPE = (40, 48, 3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of nine pictures of bars in each of three classes, in colour."""
    folder = tmp_path_factory.mktemp("backbones") / "bars"
    made = make_split(9, seed=1, size=SHAPE)
    for row, (image, label) in enumerate(zip(made.images, made.labels, strict=True)):
        place = folder / ("lying", "standing", "slanting")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)).save(place / f"{row}.png")
    return folder


@pytest.fixture(scope="module")
def frozen(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a new head on features that stay."""
    output = tmp_path_factory.mktemp("backbones") / "run"
    return train(pictures, output=output, model=LITE0, freeze=True, size="40x48", epochs=2, verbose=0).run


def test_freezing_trains_the_head_alone(frozen: Run):
    """Each array of the backbone is the published one, statistics included; the head has learnt."""
    fresh = build_on_backbone(LITE0, SHAPE, 3)
    trained = frozen.model()
    for layer in fresh.layers[:-1]:
        for ours, theirs in zip(layer.get_weights(), trained.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(ours, theirs)
    assert not np.array_equal(fresh.layers[-1].get_weights()[0], trained.layers[-1].get_weights()[0])
    log = (frozen.path / "log").read_text(encoding="utf-8")
    assert f"{LITE0}: 144 layers with 3,416,867 parameters; 3,843 are trained." in log
    assert "but Keras runs" not in log


def test_what_follows_a_training_works_on_it(
    frozen: Run, pictures: Path, tmp_path: Path, eyespot: Callable[..., Answer]
):
    """Prediction, explanation, the report and the export of a run on a backbone."""
    picture = next((pictures / "lying").iterdir())
    assert json.loads(eyespot("predict", frozen.path, picture, "--json").out)
    for arguments in (
        ("explain", frozen.path, picture, "--method", "gradcam", "--output", tmp_path / "maps"),
        ("export", frozen.path, "--format", "onnx", "--output", tmp_path / "onnx"),
        ("report", frozen.path),
    ):
        answer = eyespot(*arguments)
        assert answer.code == 0, answer.err
    assert (tmp_path / "maps").is_dir()
    assert (frozen.path / "report.html").is_file()


def test_fine_tuning_trains_every_layer(pictures: Path, tmp_path: Path):
    """Without `freeze` the first convolution moves too; another training may start from the run."""
    run = train(pictures, output=tmp_path / "a", model=LITE0, size="40x48", epochs=1, verbose=0).run
    first = build_on_backbone(LITE0, SHAPE, 3).get_layer("conv_stem").kernel.numpy()
    assert not np.array_equal(run.model().get_layer("conv_stem").kernel.numpy(), first)
    further = train(
        pictures, output=tmp_path / "b", start=str(run.path), freeze=True, size="40x48", epochs=1, verbose=0
    ).run
    assert np.array_equal(
        further.model().get_layer("conv_stem").kernel.numpy(), run.model().get_layer("conv_stem").kernel.numpy()
    )


def test_images_are_read_at_the_backbones_size():
    """Where no size is stated, it is that of the images that the weights were trained on; of other models, none."""
    assert Recipe().reading == Recipe().pictures
    for name, side in ((LITE0, 224), ("efficientnet-lite2", 260)):
        recipe = Recipe.parse({"model": {"name": name}, "pictures": {"resize": "crop"}})
        assert recipe.reading == recipe.pictures.model_copy(update={"size": (side, side)})
        assert recipe.with_options({"size": 64}).reading.size == (64, 64)


def test_a_run_says_at_which_size_its_images_were_read(pictures: Path, tmp_path: Path):
    """The recipe of the run holds the backbone's size, and its model takes images of it, grey ones too."""
    grey = tmp_path / "grey"
    for file in [*pictures.rglob("*.png")][::3]:
        place = grey / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        Image.open(file).convert("L").save(place / file.name)
    run = train(grey, output=tmp_path / "run", model=LITE0, freeze=True, split="none", epochs=1, verbose=0).run
    assert run.recipe.pictures.size == (224, 224)
    assert run.model().input_shape == (None, 224, 224, 1)
    assert look(grey, tmp_path / "look", verbose=0).summary["splits"]["train"]["shape"][1:] == [40, 48, 1]


def test_missing_weights_are_named_before_images_are_read(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Decoding thousands of pictures comes after it is known that there is something to train."""
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda _: None)
    monkeypatch.setattr("eyespot.workflow.prepare.load", lambda *_, **__: pytest.fail("images were read"))
    with pytest.raises(ModelError, match=LITE[LITE0].package):
        train(pictures, output=tmp_path / "r", model=LITE0)
    assert not (tmp_path / "r").exists()
