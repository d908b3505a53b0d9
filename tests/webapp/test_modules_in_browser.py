"""The page's modules, each beside the Python it follows: the same pixels, the same judgement, the same maps."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import eyespot.webapp
from eyespot.data.catalog import CATALOG
from eyespot.data.picture import fit_to_size
from eyespot.explanation.occlusion import occlusion, plain_background
from eyespot.preprocessing.appearance import Appearance, distances, looks_like_training, outline
from eyespot.preprocessing.measure import measure_appearance, stroke_widths
from eyespot.preprocessing.pipeline import read_photograph
from tests.reports.pages import needs_browser
from tests.webapp.browser import browsing, hosted
from tests.webapp.drawings import drawings

pytestmark = needs_browser
FOLDER = Path(eyespot.webapp.__file__).parent
SEVEN = next(strokes for digit, strokes in drawings() if digit == "7")
TYPED = "{...picture, data: Uint8Array.from(picture.data)}"  # arrays travel as lists
Script = Callable[[str, str, list[Any]], Any]


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    """Calls a function that a module exports, with plain values."""
    with hosted(FOLDER) as address, browsing(f"{address}/icon.svg") as (page, _):

        def call(module: str, body: str, arguments: list[Any]) -> Any:
            return page.evaluate(
                f"async (given) => {{ const module = await import('{address}/{module}'); return ({body})(...given); }}",
                arguments,
            )

        yield call


def looks(**changes: Any) -> dict[str, Any]:
    """An appearance: strokes of 3 pixels, 20 pixels long, light on dark, their mass in the middle of 28x28."""

    def around(value: float, spread: float) -> dict[str, float]:
        names = ("low", "quarter", "median", "three_quarters", "high")
        places = (-4, -1, 0, 1, 4)
        return {name: min(max(value + spread * at, 0), 1) for name, at in zip(names, places, strict=True)}

    usual = {
        "plain": True, "colour": False, "lighter": True, "background": 0.0, "uniform": 1.0, "strength": 1.0,
        "height": around(0.7, 0.02), "width": around(0.5, 0.1), "longest": around(20 / 28, 0.0),
        "mass_row": around(0.5, 0.01), "mass_column": around(0.5, 0.01), "box_row": around(0.5, 0.03),
        "box_column": around(0.5, 0.03), "centring": "mass", "stroke": around(3 / 28, 0.01), "drawn": True,
    }  # fmt: skip
    return Appearance.from_dict(usual | changes).to_dict()


def rendered(
    script: Script, strokes: object, appearance: dict[str, Any] | None, shape: tuple[int, int, int] = (28, 28, 1)
) -> np.ndarray:
    height, width, channels = shape
    model = {"input": {"height": height, "width": width, "channels": channels}, "appearance": appearance}
    body = "(strokes, model) => Array.from(module.rendered(strokes, model).data)"
    return np.array(script("strokes.js", body, [strokes, model]), np.uint8).reshape(shape)


def test_a_drawing_has_size_place_and_stroke_of_the_training_pictures(script: Script):
    """Twenty pixels long, its mass in the middle, strokes three wide; wherever and however large it was drawn."""
    small = [[(0.6 + 0.3 * x, 0.1 + 0.3 * y) for x, y in stroke] for stroke in SEVEN]
    for strokes in (SEVEN, small):
        image = rendered(script, strokes, looks())[..., 0]
        field = distances(image, 0.0, lighter=True)
        found = outline(field)
        assert found is not None
        assert abs(max(found.height, found.width) * 28 - 20) <= 1
        assert abs(found.mass_row - 0.5) * 28 <= 0.5
        assert abs(found.mass_column - 0.5) * 28 <= 0.5
        (width,) = stroke_widths(field, 0.5)
        assert abs(width - 3) <= 0.5
    different = np.abs(rendered(script, SEVEN, looks()).astype(int) - rendered(script, small, looks()).astype(int))
    assert different.mean() < 1


def test_drawings_look_like_training_pictures(script: Script):
    """All twenty digits are taken for pictures of the kind that scikit-learn's digits are."""
    appearance = measure_appearance(CATALOG["digits"].read().train.images)
    for digit, strokes in drawings():
        image = rendered(script, strokes, appearance.to_dict(), (8, 8, 1))
        assert looks_like_training(image, appearance), digit


def test_levels_are_those_of_the_training_pictures(script: Script):
    """Dark on light where they are so, with their strength, and in as many channels."""
    image = rendered(script, SEVEN, looks(lighter=False, background=0.9, strength=0.6), (28, 28, 3))
    assert (image.max(), image.min()) == (230, 77)
    assert (image == image[..., :1]).all()


def test_other_models_see_the_canvas_itself(script: Script):
    """Black on white, where it was drawn, in colour and in another shape."""
    image = rendered(script, [[(0.25, 0.25), (0.25, 0.75)]], None, (32, 16, 3))
    assert image[16, 8].tolist() == [0, 0, 0]
    assert image[0].min() == image[:, 0].min() == image[:, 15].min() == 255
    rows = np.flatnonzero((image[..., 0] < 128).any(axis=1))
    assert (rows[0], rows[-1]) == (7, 24)
    assert (rendered(script, SEVEN, looks(plain=False)) == rendered(script, SEVEN, None)).all()


@pytest.mark.parametrize("appearance", [None, looks(), looks(drawn=False), looks(centring="box")])
def test_a_dot_is_a_spot(script: Script, appearance: dict[str, Any] | None):
    """One point gives a small spot, not nothing and not a blot."""
    image = rendered(script, [[(0.5, 0.5)]], appearance).astype(int)
    inked = np.abs(image - image[0, 0, 0]) > 100
    assert 1 <= inked.sum() <= 16
    assert inked[12:17, 12:17].any()


def test_an_outline_is_filled_where_training_pictures_are(script: Script):
    """A square drawn as a line is an area for a model of clothes, and a ring for one of digits."""
    square = [[(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.3)]]
    assert rendered(script, square, looks(drawn=False))[14, 14, 0] == 255
    assert rendered(script, square, looks())[14, 14, 0] == 0


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 20, 3)])
def test_pictures_are_resized_as_pillow_does(script: Script, resize: str, shape: tuple[int, int, int]):
    """To one level in 255 with any Pillow (13 and later: to none), larger and much smaller, reduced first or not."""
    generator = np.random.default_rng(1)
    height, width, channels = shape
    for rows, columns in [(28, 28), (8, 8), (31, 47), (130, 61), (200, 333), (20, 19)]:
        picture = generator.integers(60, 196, (rows, columns, 3), dtype=np.uint8)
        expected = fit_to_size(Image.fromarray(picture), shape, resize)  # type: ignore[arg-type]
        given = {"height": rows, "width": columns, "channels": 3, "data": picture.ravel().tolist()}
        wanted = {"height": height, "width": width, "channels": channels}
        body = f"(picture, input, how) => Array.from(module.fitted({TYPED}, input, how).data)"
        found = np.array(script("local/resample.js", body, [given, wanted, resize])).reshape(shape)
        assert np.abs(found - expected.astype(int)).max() <= 1, (rows, columns)


def test_likeness_is_judged_as_by_python(script: Script):
    """Of digits, of digits inverted, moved and made smaller, and of noise."""
    images = CATALOG["digits"].read().train.images[:40]
    appearance = measure_appearance(CATALOG["digits"].read().train.images)
    noise = np.random.default_rng(2).integers(0, 256, (10, 8, 8, 1), dtype=np.uint8)
    small = np.zeros_like(images)
    small[:, :4, :4] = images[:, ::2, ::2]
    tried = np.concatenate([images, 255 - images, np.roll(images, 3, axis=2), small, noise])
    expected = [looks_like_training(image, appearance) for image in tried]
    assert 10 < sum(expected) < len(tried) - 10
    given = [{"height": 8, "width": 8, "channels": 1, "data": image.ravel().tolist()} for image in tried]
    body = "(images, appearance) => images.map((image) => module.looksLikeTraining(image, appearance))"
    assert script("local/likeness.js", body, [given, appearance.to_dict()]) == expected


def test_a_photograph_comes_near_to_what_python_makes_of_it(script: Script, photograph: Path):
    """On even light, the light version and the whole pipeline give nearly the same picture."""
    picture = Image.open(photograph)
    (expected,) = read_photograph(picture, Appearance.from_dict(looks()), (28, 28, 1)).images
    given = {"height": picture.height, "width": picture.width, "channels": 1, "data": list(picture.tobytes())}
    model = {"input": {"height": 28, "width": 28, "channels": 1}, "resize": "pad", "appearance": looks()}
    body = f"(picture, model) => Object.values(module.read({TYPED}, model))"
    pixels, found = script("local/photograph.js", body, [given, model])
    image = np.array(pixels["data"], np.uint8).reshape(28, 28, 1)
    assert found
    assert np.corrcoef(image.ravel(), expected.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 9, 3)])
def test_occlusion_is_what_python_finds(script: Script, shape: tuple[int, int, int]):
    """The same map of the same made-up logit, with a known background and without."""
    generator = np.random.default_rng(3)
    image = generator.integers(0, 256, shape, dtype=np.uint8)
    image[:3] = 40
    weights = generator.normal(0, 1, image.size)

    def logits(images: np.ndarray) -> np.ndarray:
        flat = np.rint(images).reshape(len(images), -1)
        return (flat @ weights / 255)[:, None].astype(np.float32)

    for level in (None, 40.0):
        background = plain_background(image[None], level)
        (expected,) = occlusion(logits, image[None], np.array([0]), background)
        looked = None if level is None else {"plain": True, "background": level / 255}
        given = {"height": shape[0], "width": shape[1], "channels": shape[2], "data": image.ravel().tolist()}
        body = (
            f"(picture, looked, weights) => module.occlusion({TYPED}, looked, async (all) =>"
            " all.map((one) => one.reduce((sum, value, place) => sum + (value * weights[place]) / 255, 0)))"
        )
        found = np.array(script("local/occlusion.js", body, [given, looked, weights.tolist()]))
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_both_languages_say_everything():
    """Every sentence is there in both, and names the same values."""
    text = (FOLDER / "words.js").read_text(encoding="utf-8")
    english, chinese = (
        {
            key: set(re.findall(r"\{(\w+)\}", said))
            for key, said in re.findall(r'^    (\w+): "(.*)",$', part, re.MULTILINE)
        }
        for part in text.partition("  zh: {")[::2]
    )
    assert english == chinese
    assert len(english) > 30
    used = set(re.findall(r'data-(?:say|label)="(\w+)"', (FOLDER / "index.html").read_text(encoding="utf-8")))
    assert used <= set(english)


def test_no_file_of_the_page_names_another_host():
    """Neither in scripts nor in styles nor in the page; and nothing is inline."""
    for file in FOLDER.rglob("*.*"):
        if file.suffix in {".js", ".css", ".html", ".svg"}:
            text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?:|//[a-z]+\.", text), file
    index = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", index)
