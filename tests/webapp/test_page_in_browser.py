"""The page in headless Chromium, before a real server: it draws, reads, explains, keeps, and everybody can use it."""

import base64
import io
import json
import shutil
import statistics
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.data.load import load
from eyespot.inference.metadata import CARD_KEY, add_metadata
from eyespot.reports.html import LANGUAGES, Language
from eyespot.reports.shown_data import shown_data
from eyespot.run import Run
from eyespot.workflow.card import card_facts, card_text
from tests.reports.pages import needs_browser
from tests.webapp.browser import answered, bars, browsing, draw, needs_axe, served
from tests.webapp.drawings import drawings

pytestmark = needs_browser
SEVEN = next(strokes for digit, strokes in drawings() if digit == "7")
DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], "seven.png", { type: "image/png" }));
  const values = { bubbles: true, cancelable: true, dataTransfer: carried, clipboardData: carried };
  document.dispatchEvent(name === "paste" ? new ClipboardEvent(name, values) : new DragEvent(name, values));
}"""


def test_a_seven_is_drawn_and_a_seven_is_read(server: str):
    """A bar for each class while it is drawn, the digit in words and shares, what the model sees; no complaint."""
    with browsing(server) as (page, complaints):
        draw(page, SEVEN)
        assert page.inner_text("#label") == "7"
        assert list(bars(page)) == list("0123456789")
        assert page.inner_text("#share") == bars(page)["7"]
        assert page.eval_on_selector("#seen", "canvas => [canvas.width, canvas.height]") == [8, 8]
        assert complaints == []


def test_bars_come_quickly(server: str, tell: Callable[[str], None]):
    """Each change of the drawing is measured until its bars are there; how long that takes is told, not judged."""
    with browsing(server) as (page, _):
        page.evaluate(
            "window.took = []; new PerformanceObserver((list) => list.getEntries().forEach((one) => took.push("
            "one.duration))).observe({ type: 'measure' })"
        )
        for _, strokes in drawings()[:5]:
            draw(page, strokes)
            page.click("#clear")
        took = sorted(page.evaluate("took"))
        assert took
        worst = took[int(0.95 * len(took))]
        tell(f"stroke to bars: median {statistics.median(took):.0f} ms, 95 % within {worst:.0f} ms, n = {len(took)}")


def test_only_the_latest_drawing_is_asked_about(server: str):
    """At most one request is under way, however fast one draws, and the last one is of the whole drawing."""
    under_way, most, bodies = 0, 0, []

    def slow(route: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        bodies.append(route.request.post_data_buffer)
        page.wait_for_timeout(60)
        under_way -= 1
        route.continue_()

    with browsing(server) as (page, _):
        page.route("**/predict?*", slow)
        draw(page, SEVEN)
        assert most == 1
        assert len(bodies) < sum(map(len, SEVEN)) / 2
        last = bodies[-1]
        page.click("#clear")
        draw(page, SEVEN)
        assert bodies[-1] == last


def test_clear_and_undo(server: str):
    """Clear leaves nothing, also where an answer comes later; undo takes the last stroke off."""
    with browsing(server) as (page, _):
        page.route("**/predict?*", lambda route: (page.wait_for_timeout(300), route.continue_()))
        box = page.locator("#pad").bounding_box()
        page.mouse.click(box["x"] + 50, box["y"] + 50)
        page.click("#clear")
        page.wait_for_timeout(800)
        assert page.inner_text("#label") == ""
        page.unroute("**/predict?*")
        (one,) = next(strokes for digit, strokes in drawings() if digit == "1")
        draw(page, [one])
        before = bars(page)
        draw(page, [[(0.2, 0.5), (0.8, 0.5)]])
        assert bars(page) != before
        page.click("#undo")
        answered(page)
        assert bars(page) == before
        page.click("#undo")
        assert page.inner_text("#label") == ""


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_picture_is_read_as_the_server_reads_it(server: str, digits: Run, photograph: Path, way: str):
    """Chosen, dropped or pasted, a photograph goes through the same steps as for `predict`, and is framed."""
    expected = _asked(f"{server}/v1/models/{digits.name}/predict?top=10", photograph.read_bytes())["predictions"][0]
    with browsing(server) as (page, complaints):
        if way == "choose":
            page.set_input_files("#file", photograph)
        else:
            page.evaluate(DROP, [way, base64.b64encode(photograph.read_bytes()).decode()])
        answered(page)
        assert page.inner_text("#label") == expected["label"] == "7"
        assert page.inner_text("#share") == f"{expected['probability']:.1%}"
        assert complaints == []


def test_what_is_no_picture_is_told(server: str, tmp_path: Path):
    """The server's own sentence appears, and goes when the next picture is read."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    with browsing(server) as (page, _):
        page.set_input_files("#file", broken)
        page.wait_for_selector("#trouble:not([hidden])")
        assert "not an image" in page.inner_text("#trouble")
        page.click("#clear")
        draw(page, SEVEN)
        assert not page.is_visible("#trouble")


def test_a_server_that_has_gone_is_told(digits: Run):
    """The page says so in words, in either language."""
    with served(digits.path) as address, browsing(address) as (page, _):
        page.context.set_offline(True)
        box = page.locator("#pad").bounding_box()
        page.mouse.click(box["x"] + 50, box["y"] + 50)
        page.wait_for_selector("#trouble:not([hidden])")
        assert page.inner_text("#trouble").startswith("The server does not answer")
        page.click("#language")
        assert page.inner_text("#trouble").startswith("服务器没有响应")
        page.context.set_offline(False)
        draw(page, SEVEN)
        assert not page.is_visible("#trouble")


def test_a_token_is_asked_for(digits: Run):
    """Where the server wants one, a field appears; a wrong one is refused in words, the right one opens the page."""
    with served(digits.path, EYESPOT_TOKEN="open-sesame") as address, browsing(address) as (page, _):  # noqa: S106
        page.wait_for_selector("#login:not([hidden])")
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("#trouble:not([hidden])")
        page.fill("#token", "open-sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("#page:not([hidden])")
        assert not page.is_visible("#login")
        draw(page, SEVEN)
        assert page.inner_text("#label") == "7"


def test_the_language_is_the_browsers_until_another_is_chosen(server: str):
    """A Chinese browser gets Chinese; the button changes all of it, and the next visit remembers."""
    with browsing(server, locale="zh-CN") as (page, complaints):
        assert page.inner_text("#clear") == "清除"
        assert page.get_attribute("html", "lang") == "zh-CN"
        draw(page, SEVEN)
        page.click("#explain")
        page.wait_for_selector("#legend:not(:empty)")
        assert "支持 7" in page.inner_text("#legend")
        page.click("#language")
        assert page.inner_text("#clear") == "Clear"
        assert "speaks for 7" in page.inner_text("#legend")
        left = page.evaluate("document.body.innerText.replaceAll('中文', '')")
        assert not [letter for letter in left if "\u4e00" <= letter <= "\u9fff"]
        page.reload()
        page.wait_for_selector("#page:not([hidden])")
        assert page.inner_text("#clear") == "Clear"
        assert complaints == []


def test_without_storage_the_page_works(server: str):
    """A browser that keeps nothing changes the language all the same."""
    with browsing(server) as (page, complaints):
        page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })")
        page.reload()
        page.click("#language")
        assert page.inner_text("#clear") == "清除"
        assert complaints == []


def test_the_keyboard_draws(server: str):
    """The arrows move the pen and space lowers it: a line downwards is a 1; Backspace takes it back."""
    with browsing(server) as (page, complaints):
        page.focus("#pad")
        for _ in range(14):
            page.keyboard.press("ArrowUp")
        page.keyboard.press("Space")
        for _ in range(7):
            page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("Space")
        answered(page)
        assert page.inner_text("#label") == "1"
        page.wait_for_timeout(1200)
        assert page.inner_text("#spoken").startswith("1, ")
        page.keyboard.press("Backspace")
        assert page.inner_text("#label") == ""
        assert complaints == []


def test_answers_are_spoken_once_they_settle(server: str):
    """A screen reader hears one answer a drawing, not one for every move."""
    with browsing(server) as (page, _):
        page.evaluate(
            "window.heard = []; new MutationObserver(() => heard.push(document.querySelector('#spoken').textContent))"
            ".observe(document.querySelector('#spoken'), { childList: true })"
        )
        draw(page, SEVEN)
        page.wait_for_timeout(1500)
        heard = [text for text in page.evaluate("heard") if text]
        assert len(heard) == 1
        assert heard[0].startswith("7, ")


def test_a_dot_is_a_drawing(server: str):
    """A click alone is answered, with a small round spot for the model."""
    with browsing(server) as (page, complaints):
        box = page.locator("#pad").bounding_box()
        page.mouse.click(box["x"] + 80, box["y"] + 80)
        answered(page)
        assert page.inner_text("#label") in "0123456789"
        assert complaints == []


def test_a_finger_draws(server: str):
    """A touch draws, and does not scroll the page."""
    with browsing(server, width=360, has_touch=True, is_mobile=True) as (page, complaints):
        assert page.is_visible("#photograph")
        page.touchscreen.tap(180, 250)
        answered(page)
        assert page.evaluate("getComputedStyle(document.querySelector('#pad')).touchAction") == "none"
        assert complaints == []


def test_occlusion_is_shown_and_put_away(server: str):
    """The map lies over the picture with its meaning in words; the button leads back, and so does drawing on."""
    pixels = "canvas => canvas.toDataURL()"
    with browsing(server) as (page, complaints):
        draw(page, SEVEN)
        plain = page.eval_on_selector("#seen", pixels)
        page.click("#explain")
        page.wait_for_selector("#legend:not(:empty)")
        assert page.eval_on_selector("#seen", pixels) != plain
        page.click("#explain")
        assert page.eval_on_selector("#seen", pixels) == plain
        assert page.inner_text("#legend") == ""
        assert complaints == []


def test_an_example_is_classified(server: str, digits: Run):
    """A click on a picture of the test set shows it, its label and the model's answer for exactly its pixels."""
    found = _asked(f"{server}/v1/models/{digits.name}/examples?count=24")["examples"]
    with browsing(server) as (page, complaints):
        page.wait_for_selector("#examples button")
        assert len(page.query_selector_all("#examples button")) == len(found)
        page.click("#examples button:nth-child(3)")
        answered(page)
        assert found[2]["label"] in page.inner_text("#about-picture")
        assert page.get_attribute("#examples button:nth-child(3)", "aria-pressed") == "true"
        picture = base64.b64decode(found[2]["picture"])
        asked = _asked(f"{server}/v1/models/{digits.name}/predict?as_is=true", picture)["predictions"][0]
        assert page.inner_text("#label") == asked["label"]
        assert page.inner_text("#share") == f"{asked['probability']:.1%}"
        assert complaints == []


def test_a_correction_is_kept_where_training_takes_it(digits: Run, tmp_path: Path):
    """The picture is saved under its right label exactly as the model saw it; the folder is a dataset."""
    kept = tmp_path / "kept"
    with served(digits.path, "--corrections", kept) as address, browsing(address) as (page, complaints):
        seen = {}
        for digit, strokes in [drawings()[14], drawings()[2]]:
            page.click("#clear")
            draw(page, strokes)
            page.select_option("#right", digit)
            page.click("#save")
            page.wait_for_selector("#saved:not(:empty)")
            seen[digit] = _levels(page)
        assert f"eyespot train {kept}" in page.inner_text("#saved")
        assert complaints == []
    for digit, levels in seen.items():
        (file,) = next(folder for folder in kept.rglob(digit) if folder.is_dir()).glob("*.png")
        assert np.asarray(Image.open(file)).tolist() == levels.tolist()
    (root,) = {folder.parent for folder in kept.rglob("7") if folder.is_dir()}
    assert sorted(load(root).class_names) == ["1", "7"]


def test_corrections_may_be_switched_off(server: str):
    """Where the server takes none, the page offers none."""
    with browsing(server) as (page, _):
        page.wait_for_selector("#page:not([hidden])")
        assert not page.is_visible("#correction")


def test_another_model_reads_the_same_drawing(digits: Run, run: Run):
    """With several models there is a choice, and what was drawn is asked of the one that is chosen."""
    with served(digits.path, run.path) as address, browsing(address) as (page, complaints):
        draw(page, SEVEN)
        page.select_option("#models", run.name)
        answered(page)
        assert list(bars(page)) == ["lying", "standing", "slanting"]
        assert run.name in page.title()
        assert complaints == []


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("width", [360, 768, 1200])
def test_nothing_is_wider_than_the_window(server: str, width: int, locale: str):
    """Not while it is empty, nor with an answer, a map and the card open."""
    with browsing(server, width, locale=locale) as (page, _):
        page.wait_for_selector("#page:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        draw(page, SEVEN)
        page.click("#explain")
        page.wait_for_selector("#legend:not(:empty)")
        page.click("summary")
        page.wait_for_selector("#card-text:not(:empty)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_is_read_in_its_own_language(digits: Run, tmp_path: Path, language: Language):
    """What reads the page aloud is told which language the card is in, whatever language the page and classes have."""
    names = tuple("零一二三四五六七八九")
    data = shown_data(replace(load("digits", verbose=0), class_names=names), None)
    run = Run(shutil.copytree(digits.path, tmp_path / "run"))
    add_metadata(run.file("model.onnx"), CARD_KEY, card_text(card_facts(run, data, names), language))
    with served(run.path) as address, browsing(address) as (page, _):
        page.wait_for_selector("#page:not([hidden])")
        page.click("summary")
        page.wait_for_selector("#card-text:not(:empty)")
        assert page.get_attribute("#card-text", "lang") == language


@needs_axe
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(digits: Run, scheme: str, locale: str):
    """axe finds no violation: empty, with an answer, a map and the card, and with trouble."""
    from axe_playwright_python.sync_playwright import Axe

    with served(digits.path) as address, browsing(address, scheme=scheme, locale=locale) as (page, _):
        page.wait_for_selector("#page:not([hidden])")
        assert Axe().run(page).response["violations"] == []
        draw(page, SEVEN)
        page.click("#explain")
        page.wait_for_selector("#legend:not(:empty)")
        page.click("summary")
        assert Axe().run(page).response["violations"] == []
        page.context.set_offline(True)
        page.click("#undo")
        page.wait_for_selector("#trouble:not([hidden])")
        assert Axe().run(page).response["violations"] == []


def _asked(url: str, picture: bytes | None = None) -> Any:
    request = urllib.request.Request(url, picture, {"Content-Type": "image/png"} if picture else {})  # noqa: S310 - our own
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own
        return json.load(answer)


def _levels(page: Any) -> np.ndarray:
    """What the page shows as seen by the model, [height, width]."""
    address: str = page.eval_on_selector("#seen", "canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("L"))
