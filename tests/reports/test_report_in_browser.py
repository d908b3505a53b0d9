"""The report in headless Chromium: a cell opens its pictures, nothing is asked for, everybody can read it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from eyespot.data.dataset import Dataset
from eyespot.reports.report import report_page
from eyespot.run import Run
from tests.reports.pages import facts_of, many_classes, needs_browser, opened, renamed
from tests.reports.test_report import HOSTILE, decoded

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page_file(run: Run, bars: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_page(renamed(facts_of(run, bars), HOSTILE)), encoding="utf-8")
    return path


def test_a_click_on_a_cell_shows_the_pictures_behind_it(page_file: Path, run: Run, bars: Dataset):
    """As many as the cell says, of its class, with hostile names as text; Escape and the button close it."""
    assert bars.test is not None
    predictions = run.predictor().probabilities(bars.test.images).argmax(axis=1)
    with opened(page_file) as (page, complaints):
        for label in range(3):
            behind = np.flatnonzero((bars.test.labels == label) & (predictions == label))
            page.click(f'[data-cell="{label}-{label}"]')
            assert page.is_visible("#pictures")
            assert page.inner_text("#pictures-title") == (
                f"{len(behind)} images of {HOSTILE[label]}, predicted correctly"
            )
            shown = [image.get_attribute("src") for image in page.query_selector_all("#pictures-grid img")]
            assert {decoded(uri)[..., None].tobytes() for uri in shown} == {
                bars.test.images[row].tobytes() for row in behind
            }
            if label:
                page.keyboard.press("Escape")
            else:
                page.click("#close")
            assert not page.is_visible("#pictures")
        assert complaints == []


def test_the_keyboard_opens_a_cell(page_file: Path):
    """Cells are buttons: they take the focus, and Enter opens them."""
    with opened(page_file) as (page, complaints):
        page.focus('[data-cell="1-1"]')
        page.keyboard.press("Enter")
        assert page.is_visible("#pictures")
        assert complaints == []


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(page_file: Path, width: int):
    """On a phone, wide tables scroll inside the page, not the page itself."""
    with opened(page_file, width) as (page, complaints):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []


@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(page_file: Path, scheme: str):
    """axe finds no violation, light or dark, with the dialog shut or open."""
    from axe_playwright_python.sync_playwright import Axe

    with opened(page_file, scheme=scheme) as (page, _):
        assert Axe().run(page).response["violations"] == []
        page.click('[data-cell="0-0"]')
        assert Axe().run(page).response["violations"] == []


def test_a_thousand_classes_can_be_opened(run: Run, bars: Dataset, tmp_path: Path):
    """The largest mistakes open as cells do."""
    path = tmp_path / "report.html"
    path.write_text(report_page(many_classes(facts_of(run, bars), 1_000)), encoding="utf-8")
    with opened(path) as (page, complaints):
        first = page.query_selector("[data-cell]")
        first.click()
        assert page.query_selector_all("#pictures-grid img")
        assert complaints == []
