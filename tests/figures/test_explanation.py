from pathlib import Path

import numpy as np
import pytest

from eyespot.explanation.inside import Filters, LayerOutput
from eyespot.explanation.maps import Completeness, PictureMaps
from eyespot.figures.explanation import ExplanationPanel, Neighbour, explanation_figure, features_figure, filters_figure
from eyespot.figures.style import save
from tests.figures.test_figures import ink

pytestmark = pytest.mark.draws


def drawn(channels: int, methods: tuple[str, ...], neighbours: int) -> ExplanationPanel:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (12, 10, channels)).astype(np.uint8)
    maps = {method: generator.normal(size=(12, 10)).astype(np.float32) for method in methods}
    completeness = Completeness(4.0, 0.02, 0.005, 64) if "integrated-gradients" in methods else None
    found = PictureMaps(1, 7.25, np.zeros(channels, np.float32), maps, completeness)
    near = [Neighbour(image, "bb" if row else "$c", 0.9 - row / 10) for row in range(neighbours)]
    given = generator.integers(0, 256, (40, 30, 3)).astype(np.uint8)
    return ExplanationPanel("x.png", given, (3, 4, 20, 30), image, "bb", [("$c", 0.7), ("bb", 0.3)], found, near)


@pytest.mark.parametrize(
    ("channels", "methods", "neighbours"),
    [
        (1, ("gradcam", "hirescam", "occlusion", "integrated-gradients"), 3),
        (3, ("gradcam", "integrated-gradients"), 0),
        (3, ("occlusion",), 3),
        (1, ("occlusion",), 0),
        (1, (), 3),
        (3, (), 0),
    ],
)
def test_an_explanation_draws_what_there_is(channels: int, methods: tuple[str, ...], neighbours: int, tmp_path: Path):
    """Grey or colour, all maps or none, with or without near pictures; there is something on it."""
    figure = explanation_figure(drawn(channels, methods, neighbours))
    assert ink(save(figure, tmp_path / "e.png")) > 0.02
    titles = [axes.get_title() for part in figure.subfigs for axes in part.axes]
    assert len([title for title in titles if title.startswith(("Grad", "HiRes", "Occl", "Integ"))]) == len(methods)
    assert len([title for title in titles if title.startswith(("bb\n", "\\$c\n"))]) == neighbours
    if "integrated-gradients" in methods:
        assert "Integrated gradients\nadds up to 4.02 of 4.00\ngap 0.5%, 64 steps" in titles


def test_a_maps_colours_are_centred_at_zero():
    """As far to the blue as to the red, whatever the map's range; 0 everywhere is white, not a division by nothing."""
    shown = drawn(1, ("occlusion",), 0)
    shown.found.maps["occlusion"][:] = np.linspace(-1, 3, 120).reshape(12, 10)
    (image,) = explanation_figure(shown).subfigs[1].axes[0].images
    assert image.get_clim() == (-3, 3)
    shown.found.maps["occlusion"][:] = 0
    (image,) = explanation_figure(shown).subfigs[1].axes[0].images
    assert image.get_clim() == (-1, 1)


def outputs(convolutions: int) -> list[LayerOutput]:
    generator = np.random.default_rng(0)
    maps = [
        LayerOutput(f"c{n}", "Conv2D", generator.random((6, 6, 20)).astype(np.float32)) for n in range(convolutions)
    ]
    return [*maps, LayerOutput("d", "Dense", generator.random(200).astype(np.float32))]


@pytest.mark.parametrize("convolutions", [2, pytest.param(29, marks=pytest.mark.slow)])
def test_feature_maps_are_drawn(convolutions: int, tmp_path: Path):
    """There is something on the figure, of few layers and of more than it shows."""
    assert ink(save(features_figure("x.png", outputs(convolutions)), tmp_path / "f.png")) > 0.02


def test_feature_maps_are_bounded():
    """At most eight channels and 24 layers, and the figure says of how many."""
    figure = features_figure("x.png", outputs(29))
    assert "24 of 30 layers" in figure.get_suptitle()
    assert len(figure.subfigs) == 24
    assert figure.subfigs[0].get_suptitle() == "c0 (Conv2D), 6x6x20: the 8 most varied of 20 channels"
    assert figure.subfigs[-1].get_suptitle() == "d (Dense), 200"
    assert all(len(part.axes) == 8 for part in figure.subfigs[:-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_strongest_filters_are_drawn(channels: int, tmp_path: Path):
    """Of 70, the 64 with the largest weights, in order; grey ones in colours around 0. Nine are saved."""
    kernels = np.random.default_rng(0).normal(size=(70, 3, 3, channels)).astype(np.float32)
    kernels[[2, 5, 9, 11, 40, 69]] *= 0.01
    figure = filters_figure(Filters("conv", "Conv2D", kernels))
    assert "64 of 70, the strongest" in figure.get_suptitle()
    assert len(figure.axes) == 64
    if channels == 1:
        np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), kernels[3, ..., 0])
    few = filters_figure(Filters("conv", "Conv2D", kernels[:9]))
    assert ink(save(few, tmp_path / "w.png")) > 0.02
