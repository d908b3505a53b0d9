from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import spearmanr

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.explanation.integrated_gradients import STEPS, TOLERANCE, integrated_gradients
from eyespot.explanation.maps import MAP_METHODS, TELLS_PLACES_APART, deletion, explain_images
from eyespot.explanation.network import Network
from eyespot.explanation.occlusion import OcclusionWindow, occlusion, plain_background, window_for
from eyespot.models.architectures import build
from eyespot.models.loading import with_fresh_weights
from eyespot.run import Run
from tests.explanation.corners import around

layers = keras.layers
Trained = Callable[[str], keras.Model]


def maps_of(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, methods: Sequence[str] = MAP_METHODS
) -> dict[str, np.ndarray]:
    pictures = explain_images(model, images, labels, methods).pictures
    return {method: np.stack([one.maps[method] for one in pictures]) for method in pictures[0].maps}


def edges() -> keras.Model:
    """By hand: class 0 is as many lying edges, class 1 standing ones, wherever they are; it ends in global averages."""
    model = keras.Sequential([
        keras.Input((20, 20, 1), dtype="uint8"),
        layers.Rescaling(1 / 255),
        layers.Conv2D(2, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2, activation="softmax"),
    ])  # fmt: skip
    lying = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]], np.float32)
    model.layers[1].set_weights([np.stack([lying, lying.T], axis=-1)[:, :, None], np.zeros(2, np.float32)])
    model.layers[3].set_weights([30 * np.eye(2, dtype=np.float32), np.zeros(2, np.float32)])
    return model


def stripes() -> np.ndarray:
    """A field of lying bars at the top left, one of standing bars at the bottom right."""
    image = np.zeros((20, 20, 1), np.uint8)
    image[2:8:3, 2:8] = 255
    image[12:18, 12:18:3] = 255
    return image


@pytest.fixture(scope="module")
def found(trained: Trained, cornered: Dataset) -> dict[str, np.ndarray]:
    """Maps of 20 test images by the small network that was trained on such."""
    assert cornered.test
    return maps_of(trained("mnist-cnn-small"), np.asarray(cornered.test.images[:20]), cornered.test.labels[:20])


@pytest.mark.parametrize("method", MAP_METHODS)
def test_every_map_points_at_what_the_class_is_made_of(method: str):
    """A hand-made model sums up two kinds of edges: each class's map lies in the field of its own kind."""
    images, labels = np.stack([stripes()] * 2), np.array([0, 1], np.int64)
    lying, standing = maps_of(edges(), images, labels)[method].clip(0)
    for found, field in ((lying, np.s_[:10, :10]), (standing, np.s_[10:, 10:])):
        assert found[field].sum() > 0.7 * found.sum()  # a quarter of the edges are the ends of the other bars
        assert found[field].max() == found.max()


def test_both_cams_agree_where_an_average_follows():
    """Behind global average pooling every place has the same gradient, so its mean loses nothing."""
    images, labels = np.stack([stripes()] * 2), np.array([0, 1], np.int64)
    found = maps_of(edges(), images, labels)
    assert found["gradcam"].max() > 0
    assert explain_images(edges(), images, labels, ("gradcam",)).notes == []
    np.testing.assert_allclose(found["gradcam"], found["hirescam"], rtol=1e-5)


@pytest.mark.parametrize("method", MAP_METHODS)
def test_maps_of_a_trained_network_find_the_patch(method: str, found: dict[str, np.ndarray], cornered: Dataset):
    """Where a patch lies is the class: each map's highest pixel is on it, though not each of Grad-CAM's."""
    assert cornered.test
    pairs = zip(found[method], cornered.test.labels[:20], strict=True)
    hits = [one[around(label)].max() == one.max() for one, label in pairs]
    assert np.mean(hits) >= (0.7 if method == "gradcam" else 1.0)


def test_grad_cam_misses_what_a_dense_head_knows(trained: Trained, cornered: Dataset):
    """Why HiResCAM is beside it: where a deeper network tells places apart behind its maps, Grad-CAM loses them."""
    assert cornered.test
    images, labels = np.asarray(cornered.test.images[:20]), cornered.test.labels[:20]
    found = maps_of(trained("cnn"), images, labels, ("gradcam", "hirescam"))
    hits = {
        method: np.mean([one[around(at)].max() == one.max() for one, at in zip(found[method], labels, strict=True)])
        for method in ("gradcam", "hirescam")
    }
    assert explain_images(trained("cnn"), images[:1], labels[:1], ("gradcam",)).notes == [TELLS_PLACES_APART]
    assert hits["gradcam"] < 0.5
    assert hits["hirescam"] > 0.95


@pytest.mark.parametrize("name", ["mnist-cnn-small", "mlp"])
def test_other_weights_give_other_maps(name: str, trained: Trained, cornered: Dataset):
    """Adebayo et al. 2018: rank correlations with maps of weights drawn anew are low, in the mean of three draws.

    Of occlusion and integrated gradients below 0.15. The CAMs of any weights are brightest where the picture is:
    below a half.
    """
    assert cornered.test
    images, labels = np.asarray(cornered.test.images[:8]), cornered.test.labels[:8]
    learnt = maps_of(trained(name), images, labels)
    assert set(learnt) == (set(MAP_METHODS) if name != "mlp" else {"occlusion", "integrated-gradients"})
    others = [maps_of(with_fresh_weights(trained(name), seed), images, labels) for seed in (9, 10, 11)]
    for method, found in learnt.items():
        pairs = [pair for other in others for pair in zip(found, other[method], strict=True)]
        assert abs(np.mean([alike(*pair) for pair in pairs])) < (0.5 if method.endswith("cam") else 0.15), method


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """The rank correlation; with a map that is empty there is none."""
    return float(spearmanr(one.ravel(), other.ravel()).statistic) if np.ptp(other) else 0.0


@pytest.mark.parametrize("name", ["mnist-cnn-small", "mlp"])
def test_deletion_by_a_map_beats_random_maps(name: str, trained: Trained, cornered: Dataset):
    """In the mean over pictures, the area is less than 0.7 of that of the best of five random maps."""
    assert cornered.test
    network, generator = Network(trained(name)), np.random.default_rng(5)
    images, labels = np.asarray(cornered.test.images[:10]), cornered.test.labels[:10]
    background = plain_background(images)

    def area(found: np.ndarray) -> float:
        rows = zip(images, labels, found, background, strict=True)
        return float(np.mean([deletion(network, image, int(at), one, level).area for image, at, one, level in rows]))

    random = min(area(generator.random(images.shape[:3]).astype(np.float32)) for _ in range(5))
    for method, found in maps_of(network, images, labels).items():
        assert area(found) < 0.7 * random, method


def test_deletion_begins_with_the_picture_and_ends_with_the_background():
    """The curve's ends are the model's own probabilities, and a constant one has its own area."""
    network, image, level = Network(edges()), stripes(), np.zeros(1, np.float32)
    curve = deletion(network, image, 0, np.zeros((20, 20), np.float32), level, steps=7)
    assert len(curve.shares) == len(curve.probabilities) == 8
    assert curve.probabilities[0] == pytest.approx(network.probabilities(image[None])[0, 0], abs=1e-6)
    assert curve.probabilities[-1] == pytest.approx(0.5, abs=1e-6)
    blank = deletion(network, np.zeros_like(image), 0, np.zeros((20, 20), np.float32), level)
    assert blank.area == pytest.approx(0.5, abs=1e-6)


def test_integrated_gradients_add_up(run: Run, bars: Dataset):
    """The attributions' sum is the difference of the logits, within one per cent; the stated gap is the real one."""
    assert bars.test
    images, labels = np.asarray(bars.test.images), bars.test.labels
    network = Network(run.model())
    background = plain_background(images)
    found = integrated_gradients(network, images, labels, background)
    empty = np.broadcast_to(background[:, None, None], images.shape)
    rows = np.arange(len(labels))
    difference = network.logits(images)[rows, labels] - network.logits(empty)[rows, labels]
    sums = found.values.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found.differences, difference, rtol=1e-6)
    np.testing.assert_allclose(found.gaps, sums - difference, atol=1e-4)
    assert (found.shares <= TOLERANCE).all()
    assert (np.abs(sums - difference) <= TOLERANCE * np.maximum(np.abs(difference), 1) + 1e-4).all()


def test_steps_are_doubled_until_it_adds_up(trained: Trained, cornered: Dataset):
    """A picture stays at the first count of steps that suffices; with fewer the gap is above the tolerance."""
    assert cornered.test
    network = Network(trained("mnist-cnn-small"))
    images, labels = np.asarray(cornered.test.images[:20]), cornered.test.labels[:20]
    background = plain_background(images)
    found = integrated_gradients(network, images, labels, background, (1, 2, *STEPS))
    assert len(set(found.steps.tolist())) > 1
    once = integrated_gradients(network, images, labels, background, (1,))
    assert ((once.shares > TOLERANCE) == (found.steps > 1)).all()


def test_of_a_linear_model_it_is_the_weight_times_the_way():
    """A gradient that is the same everywhere: attributions are weight x (pixel - background), in one step."""
    model = keras.Sequential([keras.Input((5, 4, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    images = np.random.default_rng(1).integers(0, 256, (4, 5, 4, 3)).astype(np.uint8)
    labels, background = np.array([0, 1, 2, 0], np.int64), plain_background(images)
    found = integrated_gradients(Network(model), images, labels, background)
    weights = np.asarray(model.layers[1].kernel.value.detach()).T.reshape(3, 5, 4, 3)
    np.testing.assert_allclose(found.values, weights[labels] * (images - background[:, None, None]), rtol=1e-5)
    assert (found.steps == STEPS[0]).all()


def test_occlusion_of_a_linear_model_is_what_the_covers_hide():
    """A cover of one pixel takes away weight x pixel; of larger ones, the mean over what each takes away."""
    model = keras.Sequential([keras.Input((6, 7, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    image = np.random.default_rng(2).integers(0, 256, (1, 6, 7, 1)).astype(np.uint8)
    network, zero = Network(model), np.zeros((1, 1), np.float32)
    share = (np.asarray(model.layers[1].kernel.value.detach())[:, 1].reshape(6, 7) * image[0, ..., 0]).astype(
        np.float64
    )
    (single,) = occlusion(network.logits, image, np.array([1], np.int64), zero, OcclusionWindow(1, 1))
    np.testing.assert_allclose(single, share, atol=1e-3)
    (double,) = occlusion(network.logits, image, np.array([1], np.int64), zero, OcclusionWindow(2, 1))
    padded = np.pad(share, 1)
    sums = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    expected = (sums[:-1, :-1] + sums[1:, :-1] + sums[:-1, 1:] + sums[1:, 1:]) / 4
    np.testing.assert_allclose(double, expected, atol=1e-3)


def test_covers_fit_the_picture():
    """A seventh of the shorter side, and never less than two pixels."""
    assert window_for(28, 28) == OcclusionWindow(4, 2)
    assert window_for(8, 40) == OcclusionWindow(2, 1)
    assert window_for(224, 300) == OcclusionWindow(32, 16)


def test_a_background_is_what_lies_along_the_edges():
    """The median of the edge, channel by channel; a level that is known goes before it."""
    image = np.full((1, 6, 6, 3), 9, np.uint8)
    image[0, 1:5, 1:5] = 200
    image[0, 0, :3, 2] = 255
    assert plain_background(image).tolist() == [[9, 9, 9]]
    assert plain_background(image, 30.0).tolist() == [[30, 30, 30]]


def test_what_a_model_leaves_no_room_for_is_said():
    """Without a convolution the CAMs are left out with a sentence each, and the others are there."""
    images = np.zeros((2, 8, 8, 3), np.uint8)
    found = explain_images(build("mlp", (8, 8, 3), 3), images, np.array([0, 1], np.int64))
    assert [set(one.maps) for one in found.pictures] == [{"occlusion", "integrated-gradients"}] * 2
    assert [sentence.split(" is left out")[0] for sentence in found.notes] == ["Grad-CAM", "HiResCAM"]
    assert all("no convolution" in sentence for sentence in found.notes)
    assert all(one.completeness for one in found.pictures)
