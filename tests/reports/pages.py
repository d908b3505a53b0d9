"""What tests of pages need: a report's facts without a training, and a browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation.metrics import evaluate_probabilities
from eyespot.reports.report import ReportFacts
from eyespot.reports.shown_data import shown_data
from eyespot.run import Run
from eyespot.workflow.report import gather_results

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or find_spec("playwright") is None,
    reason="pages are looked at in Chromium, which is not installed",
)


def facts_of(run: Run, dataset: Dataset, **changes: Any) -> ReportFacts:
    """As `report` gathers them, of a run on arrays, whose pictures it could not open again."""
    return replace(gather_results(run, shown_data(dataset, "test"), [], Console(quiet=True)), **changes)


def renamed(facts: ReportFacts, names: tuple[str, ...]) -> ReportFacts:
    """The same answers under other class names."""
    assert facts.split is not None
    assert facts.probabilities is not None
    found = evaluate_probabilities(facts.probabilities, facts.split.labels, names).to_dict()
    return replace(facts, class_names=names, metrics=facts.metrics | {"test": found})


def many_classes(facts: ReportFacts, classes: int) -> ReportFacts:
    """Pictures of as many classes, most answers wrong, at random."""
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(classes), 2)
    images = generator.integers(0, 256, (len(labels), 8, 8, 1), dtype=np.uint8)
    probabilities = generator.dirichlet(np.full(classes, 0.1), len(labels)).astype(np.float32)
    names = tuple(f"class {number}" for number in range(classes))
    split = Split(images, labels)
    found = evaluate_probabilities(probabilities, labels, names).to_dict()
    data = shown_data(Dataset("many", names, split, test=split), "test")
    metrics = facts.metrics | {"test": found}
    return replace(facts, class_names=names, data=data, probabilities=probabilities, metrics=metrics)


@contextmanager
def opened(path: Path, width: int = 1200, scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """A page in headless Chromium, and everything it complained of or asked for that is not in the file."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        # Without its sandbox, which needs rights that containers do not have: the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("data:", "file:")) or complaints.append(request.url))
        page.goto(path.as_uri())
        yield page, complaints
        browser.close()
