import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.errors import ModelError, UsageError
from eyespot.inference.metadata import METADATA_KEY, REJECTION_KEY, add_metadata
from eyespot.inference.ood import LEVELS, Gaussian, Rejection, contrasts, shrunk
from eyespot.inference.predictor import Predictor
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.workflow.train import train
from tests.conftest import needs_real_data

GENERATOR = np.random.default_rng(5)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The embedded digits."""
    return eyespot.load("digits")


@pytest.fixture(scope="module")
def reader(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that reads digits."""
    recipe = Recipe.parse({"model": {"name": "mlp"}, "training": {"epochs": 12, "precision": "float32"}})
    return train(digits, recipe, tmp_path_factory.mktemp("rejection") / "digits").run


def noise(count: int = 200) -> Any:
    return np.random.default_rng(1).integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)


def gaussian(d: int = 6, q: int = 2, means: int = 3) -> Gaussian:
    """Any distribution, with directions at right angles."""
    axes = np.linalg.qr(GENERATOR.normal(size=(d, d)))[0][:, :q].T.astype(np.float32)
    centers = GENERATOR.normal(size=(means, d)).astype(np.float32)
    return Gaussian(centers, axes, np.array([3.0, 2.0][:q], np.float32), rest=0.5)


def test_distances_are_mahalanobis():
    """With the covariance written out as a matrix, the distance from the nearest mean is the same."""
    told = gaussian()
    covariance = told.directions.T @ np.diag(told.variances - told.rest) @ told.directions + told.rest * np.eye(6)
    values = GENERATOR.normal(size=(10, 6)).astype(np.float32)
    apart = values[:, None] - told.means
    expected = np.einsum("nki,ij,nkj->nk", apart, np.linalg.inv(covariance), apart).min(axis=1)
    assert told.distances(values) == pytest.approx(expected, rel=1e-4)


def test_large_pictures_are_compared_by_blocks():
    """Up to 32 pixels a side nothing is lost; above, a block's mean stands for it."""
    small = GENERATOR.integers(0, 256, (2, 32, 20, 3)).astype(np.uint8)
    assert shrunk(small) == pytest.approx(small / 255, abs=1e-6)
    large = np.repeat(np.repeat(small, 3, axis=1), 3, axis=2)
    assert shrunk(large) == pytest.approx(small / 255, abs=1e-6)
    assert shrunk(large[:, :95, :58]) == pytest.approx(small / 255, abs=1e-6)


def test_a_picture_of_one_colour_has_no_contrast():
    """Contrast is within channels, not between them."""
    red = np.zeros((1, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert contrasts(red) == pytest.approx([0])
    red[:, :4] = 0
    assert contrasts(red) == pytest.approx([127.5 / 3])


def test_noise_blank_and_turned_pictures_are_none_of_these(reader: Run, digits: Dataset):
    """What is no digit is rejected; of digits it has not seen, few are."""
    assert digits.test is not None
    predictor, images = reader.predictor(), digits.test.images
    threshold = predictor.rejection.threshold()

    def rejected(pictures: Any) -> float:
        return float((predictor.strangeness(np.ascontiguousarray(pictures)) > threshold).mean())

    assert rejected(images) <= 0.05
    assert rejected(noise()) == 1
    assert rejected(np.stack([np.full((8, 8, 1), grey, np.uint8) for grey in range(256)])) == 1
    assert rejected(255 - np.asarray(images)) == 1
    assert rejected(np.rot90(images, axes=(1, 2))) > 0.9


def test_predictions_say_none_of_these(reader: Run, digits: Dataset, tmp_path: Path):
    """A strange picture's label is replaced and its classes are still named; a usual one keeps its label."""
    assert digits.test is not None
    for name, pixels in (("digit", digits.test.images[0]), ("noise", noise()[0])):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"{name}.png")
    pictures = [tmp_path / "digit.png", tmp_path / "noise.png"]
    plain, judged = reader.predictor().predict(pictures), reader.predictor().predict(pictures, reject=True)
    assert [p.label for p in judged] == [plain[0].label, "none of these"]
    assert [p.top for p in judged] == [p.top for p in plain]
    assert [p.rejected for p in judged] == [False, True]
    assert not any(p.rejected for p in plain)
    assert set(plain[0].to_dict()) == {"file", "label", "probability", "top"}
    assert judged[1].to_dict()["strangeness"] > judged[1].to_dict()["threshold"] == judged[0].threshold


def test_a_larger_rate_rejects_more(reader: Run, digits: Dataset):
    """The threshold falls as the rate rises, and a rate outside 0 to 1 is refused."""
    rejection = reader.predictor().rejection
    thresholds = [rejection.threshold(rate) for rate in (0.001, 0.01, 0.1, 0.5, 0.9)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1]
    for rate in (0.0, 1.0, -1.0, 2.0):
        with pytest.raises(UsageError, match="strictly between 0 and 1"):
            rejection.threshold(rate)


def test_strangeness_does_not_depend_on_the_batch(reader: Run, monkeypatch: pytest.MonkeyPatch):
    """Batches are only a way to compute."""
    whole = reader.predictor().strangeness(noise(20))
    monkeypatch.setattr("eyespot.inference.predictor.BATCH", 7)
    assert reader.predictor().strangeness(noise(20)) == pytest.approx(whole, rel=1e-4)


def test_what_is_written_is_what_is_read(reader: Run):
    """A rejection read again gives the same strangeness, and takes little room in the file."""
    rejection = reader.predictor().rejection
    again = Rejection.read(rejection.dump(), (8, 8, 1))
    features = reader.predictor().features(noise())
    assert (again.strangeness(noise(), features) == rejection.strangeness(noise(), features)).all()
    assert (again.source, again.pictures) == ("validation", 144)
    assert len(rejection.dump()) < 300_000


def test_a_model_of_before_says_so(reader: Run, digits: Dataset, tmp_path: Path):
    """A model without what rejecting takes opens and predicts as ever; asked to reject, it says what to do."""
    assert digits.test is not None
    model = onnx.load(reader.file("model.onnx"))
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {METADATA_KEY: kept[METADATA_KEY]})
    onnx.save(model, tmp_path / "before.onnx")
    before = Predictor(tmp_path / "before.onnx")
    expected = reader.predictor().probabilities(digits.test.images)
    assert (before.probabilities(digits.test.images) == expected).all()
    with pytest.raises(ModelError, match="train it again"):
        before.predict([], reject=True)


def edited(*keys: str, value: Any) -> Callable[[dict[str, Any]], str]:
    """The rejection with a value changed, or with a key taken away where there is no value."""

    def edit(told: dict[str, Any]) -> str:
        place: Any = told
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        return json.dumps(told)

    return edit


def falling() -> dict[str, Any]:
    rejection = Rejection(gaussian(), gaussian(), 1.0, np.linspace(1, 0, LEVELS, dtype=np.float32), "train", 1)
    quantiles: dict[str, Any] = json.loads(rejection.dump())["quantiles"]
    return quantiles


DAMAGED: dict[str, Callable[[dict[str, Any]], str]] = {
    "no JSON": lambda told: json.dumps(told)[:-9],
    "a list": lambda told: "[1]",
    "another version": edited("version", value=2),
    "nothing": edited("features", value=None),
    "no base64": edited("pixels", "means", "data", value="?" * 128),
    "cut short": edited("pixels", "means", "data", value="AAAA"),
    "another kind": edited("features", "means", "kind", value="O"),
    "another shape": edited("features", "means", "shape", value=[3]),
    "no shape": edited("features", "means", "shape", value=None),
    "not a number": edited("features", "usual", value=float("nan")),
    "text": edited("faintest", value="faint"),
    "infinite weights": edited("features", "variances", "data", value="AACAfwAAgH8AAIB/"),
    "no variance": edited("pixels", "rest", value=0),
    "high below usual": edited("pixels", "high", value=-1e9),
    "quantiles that fall": edited("quantiles", value=falling()),
    "other pictures": edited("pixels", value=gaussian().to_dict()),
    "other features": edited("features", value=gaussian().to_dict()),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_metadata_is_refused(reader: Run, tmp_path: Path, damage: str):
    """Whatever is wrong with it, one sentence says that it is damaged; without --reject the model still predicts."""
    path = tmp_path / "model.onnx"
    path.write_bytes(reader.file("model.onnx").read_bytes())
    add_metadata(path, REJECTION_KEY, DAMAGED[damage](json.loads(reader.predictor().rejection.dump())))
    predictor = Predictor(path)
    assert predictor.probabilities(noise()).shape == (200, 10)
    with pytest.raises(ModelError, match=r"model\.onnx has damaged metadata \(.+\)\.$"):
        predictor.strangeness(noise())


def test_the_largest_measure_counts(reader: Run):
    """Features, pixels or contrast: one that is strange is enough."""
    rejection = reader.predictor().rejection
    images, features = noise(), reader.predictor().features(noise())
    told = rejection.strangeness(images, features)
    usual = replace(rejection.pixels, usual=1e9, high=2e9)
    alone = replace(rejection, pixels=usual).strangeness(images, features)
    assert (alone <= told).all()
    assert alone.max() < told.min()
    neither = replace(rejection, pixels=usual, features=replace(rejection.features, usual=1e9, high=2e9))
    assert neither.strangeness(images, features) == pytest.approx(rejection.faintest / 2 / contrasts(images))


@pytest.mark.slow
@needs_real_data
@pytest.mark.parametrize(("own", "other"), [("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")])
def test_mnist_and_fashion_mnist_are_told_apart(own: str, other: str, tmp_path: Path):
    """A network that has learnt one set, briefly, tells the other's pictures from its own: AUROC 0.98 at least."""
    whole = eyespot.load(own)
    dataset = Dataset(own, whole.class_names, whole.train.take(np.arange(12_000)), test=whole.test)
    run = train(dataset, Recipe.parse({"training": {"epochs": 2, "batch_size": 64}}), tmp_path / "run").run
    strangers = eyespot.load(other).test
    assert whole.test is not None
    assert strangers is not None
    known, strange = (run.predictor().strangeness(split.images[:3000]) for split in (whole.test, strangers))
    assert roc_auc_score(np.repeat([0, 1], 3000), np.concatenate([known, strange])) >= 0.98
    assert (known > run.predictor().rejection.threshold()).mean() < 0.03
