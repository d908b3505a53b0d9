"""What tests of the page need: a server as users start it, a host of plain files, a browser, a hand that draws."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.reports.pages import CHROMIUM
from tests.webapp.drawings import Stroke

needs_axe = pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe is not installed")
START_SECONDS = 30


@contextmanager
def served(*arguments: object, **environment: str) -> Iterator[str]:
    """`eyespot serve` with these arguments in a process of its own, on a free port; gives its address."""
    command = [sys.executable, "-m", "eyespot", "serve", *map(str, arguments), "--port", "0", "--json", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        assert process.stdout is not None
        killer = threading.Timer(START_SECONDS, process.kill)
        killer.start()
        line = process.stdout.readline()
        killer.cancel()
        yield json.loads(line)["address"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


class Quiet(SimpleHTTPRequestHandler):
    """Plain files."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """A host of a folder's files that does nothing else, as `python -m http.server`; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def browsing(
    address: str, width: int = 1200, scheme: str = "light", locale: str = "en", **context: Any
) -> Iterator[tuple[Any, list[str]]]:
    """A page in headless Chromium, and everything it complained of or asked of another host."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        # Without its sandbox, which needs rights that containers do not have: the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        given = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "locale": locale, **context}
        page = browser.new_context(**given).new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _is_own(request.url, address) or complaints.append(request.url))
        page.goto(address)
        yield page, complaints
        browser.close()


def _is_own(url: str, address: str) -> bool:
    return url == address or url.startswith(("data:", f"blob:{address}", f"{address.rstrip('/')}/"))


def draw(page: Any, strokes: list[Stroke]) -> None:
    """Draws with the mouse, and waits until what is drawn has been answered."""
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    longest = max(box["width"], box["height"])
    for stroke in strokes:
        for place, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * longest, box["y"] + y * longest)
            if place == 0:
                page.mouse.down()
        page.mouse.up()
    answered(page)


def answered(page: Any) -> None:
    """Waits until the latest change has its bars."""
    page.wait_for_selector("#result[aria-busy=false]:not(.empty)")


def bars(page: Any) -> dict[str, str]:
    """What the bars say, class by class."""
    rows = page.eval_on_selector_all(
        "#bars li", "rows => rows.map(row => [row.children[0].textContent, row.children[2].textContent])"
    )
    return dict(rows)
