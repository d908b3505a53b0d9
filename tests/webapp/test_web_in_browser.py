"""The web export in headless Chromium, on a host of plain files: it does what the server's page does, without one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset, Split
from eyespot.run import Run
from eyespot.workflow.export import export
from tests.conftest import make_split
from tests.reports.pages import needs_browser
from tests.webapp.browser import answered, browsing, draw, hosted, needs_axe, served
from tests.webapp.drawings import drawings
from tests.webapp.engines import answers_of, map_of, needs_runtime

pytestmark = [needs_browser, needs_runtime]
SEVEN = next(strokes for digit, strokes in drawings() if digit == "7")
AGREEMENT = 1e-3


@pytest.fixture(scope="module")
def site(digits: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The digits' export below another path of a host."""
    root = tmp_path_factory.mktemp("host")
    export(digits, "web", root / "some" / "where")
    with hosted(root) as address:
        yield f"{address}/some/where"


def test_a_seven_is_read_without_a_server(site: str):
    """Drawn, explained, from any path of a host; nothing is asked of another, nothing is complained of."""
    with browsing(f"{site}/") as (page, complaints):
        draw(page, SEVEN)
        assert page.inner_text("#label") == "7"
        page.click("#explain")
        page.wait_for_selector("#legend:not(:empty)")
        page.click("summary")
        page.wait_for_selector("#card-text:not(:empty)")
        assert page.inner_text("#card-text").startswith("#")
        assert complaints == []


def test_it_agrees_with_the_server(site: str, digits: Run, tell: Callable[[str], None]):
    """On twenty drawings, on pictures of the test set as files, and in what speaks for the class."""
    test = CATALOG["digits"].read().test
    assert test is not None
    given = [strokes for _, strokes in drawings()]
    images = list(test.images[:100])
    with browsing(f"{site}/") as (page, _):
        ours, our_map = answers_of(page, site, given, images), map_of(page, site, SEVEN, "7")
    with served(digits.path) as address, browsing(address) as (page, _):
        theirs, their_map = answers_of(page, address, given, images), map_of(page, address, SEVEN, "7")
    apart, maps_apart = np.abs(ours - theirs).max(), np.abs(our_map - their_map).max()
    tell(f"digits: web and server differ by {apart:.1e} in a probability, {maps_apart:.1e} in a map's logits")
    assert apart <= AGREEMENT
    assert maps_apart <= AGREEMENT


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_colour_pictures_of_other_sizes_agree(resize: str, tmp_path: Path, tell: Callable[[str], None]):
    """A model of no plain pictures is given PNG files as the server would bring them to its size."""
    from eyespot.workflow.train import train

    generator = np.random.default_rng(4)
    tint = generator.integers(0, 120, (1, 16, 16, 3), dtype=np.uint8)
    coloured = [Split(np.maximum(split.images, tint), split.labels) for split in _splits()]
    dataset = Dataset("coloured", ("lying", "standing", "slanting"), coloured[0], test=coloured[1])
    settings = {"training.epochs": 2, "training.seed": 1, "pictures.resize": resize}
    run = train(dataset, output=tmp_path / "run", model="mlp", settings=settings).run
    export(run, "web", tmp_path / "web", on=dataset)
    files = [
        generator.integers(60, 196, (*size, 3), dtype=np.uint8) for size in [(40, 30), (120, 130), (16, 16), (130, 50)]
    ]
    given = [SEVEN]
    with hosted(tmp_path / "web") as address, browsing(f"{address}/") as (page, complaints):
        ours = answers_of(page, address, given, files)
        assert complaints == []
    with served(run.path) as address, browsing(address) as (page, _):
        theirs = answers_of(page, address, given, files)
    apart = np.abs(ours - theirs).max()
    tell(f"coloured, {resize}: web and server differ by {apart:.1e} in a probability")
    assert apart <= AGREEMENT


def test_a_photograph_is_read_more_simply_and_says_so(site: str, photograph: Path):
    """The object is found all the same, and the page tells the difference in words."""
    with browsing(f"{site}/") as (page, complaints):
        page.set_input_files("#file", photograph)
        answered(page)
        assert page.inner_text("#label") == "7"
        assert "more simply than by eyespot serve" in page.inner_text("#about-picture")
        assert complaints == []


def test_what_is_no_picture_is_told(site: str, tmp_path: Path):
    """In words, with its name."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    with browsing(f"{site}/") as (page, _):
        page.set_input_files("#file", broken)
        page.wait_for_selector("#trouble:not([hidden])")
        assert page.inner_text("#trouble") == "broken.png is not an image that can be opened here."


def test_a_correction_is_downloaded(site: str):
    """There is no server to keep it: it becomes a PNG at the model's size, named by its label."""
    from PIL import Image

    with browsing(f"{site}/") as (page, complaints):
        draw(page, SEVEN)
        page.select_option("#right", "1")
        with page.expect_download() as started:
            page.click("#save")
        assert started.value.suggested_filename.startswith("1-")
        with Image.open(started.value.path()) as picture:
            assert picture.size == (8, 8)
        assert page.inner_text("#saved").startswith("Downloaded as 1-")
        assert complaints == []


def test_a_missing_model_is_told(digits: Run, tmp_path: Path):
    """A folder that was not copied whole says which file cannot be had."""
    export(digits, "web", tmp_path / "web")
    (tmp_path / "web" / "model.onnx").unlink()
    with hosted(tmp_path / "web") as address, browsing(f"{address}/") as (page, _):
        box = page.locator("#pad").bounding_box()
        page.mouse.click(box["x"] + 50, box["y"] + 50)
        page.wait_for_selector("#trouble:not([hidden])")
        assert page.inner_text("#trouble").startswith("model.onnx cannot be fetched")


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(site: str, scheme: str):
    """axe finds no violation, on a phone."""
    from axe_playwright_python.sync_playwright import Axe

    with browsing(f"{site}/", width=360, scheme=scheme, locale="zh-CN") as (page, _):
        draw(page, SEVEN)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert Axe().run(page).response["violations"] == []


def _splits() -> list[Split]:
    return [make_split(20, seed=1, size=(16, 16, 3)), make_split(5, seed=2, size=(16, 16, 3))]
