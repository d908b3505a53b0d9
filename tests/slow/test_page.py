"""What the page promises of MNIST: digits are read right, with a server and without, and corrections are learned."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from eyespot.data.catalog import CATALOG
from eyespot.run import Run
from eyespot.workflow.export import export
from tests.conftest import needs_real_data
from tests.reports.pages import needs_browser
from tests.webapp.browser import browsing, draw, hosted, served
from tests.webapp.drawings import drawings
from tests.webapp.engines import answers_of, map_of, needs_runtime

pytestmark = [pytest.mark.slow, needs_browser, needs_real_data]
AGREEMENT = 1e-3
FEWEST_RIGHT = 19
TEST_PICTURES = 200


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A tutorial's network after two epochs; or the run that EYESPOT_PAGE_RUN names."""
    from eyespot.run import open_run
    from eyespot.workflow.train import train

    if named := os.environ.get("EYESPOT_PAGE_RUN"):
        yield open_run(named)
        return
    folder = tmp_path_factory.mktemp("mnist") / "mnist"
    settings = {"training.epochs": 2, "training.seed": 1}
    yield train("mnist", model="mnist-cnn-small", output=folder, settings=settings).run


def test_drawn_digits_are_read_right_in_browser(mnist: Run, tmp_path: Path, tell: Callable[[str], None]):
    """At least 19 of the 20 that a script draws; each is saved with its label, and `train` takes the folder."""
    from eyespot.workflow.train import train

    kept, wrong = tmp_path / "kept", []
    with served(mnist.path, "--corrections", kept) as address, browsing(address) as (page, complaints):
        for number, (digit, strokes) in enumerate(drawings()):
            page.click("#clear")
            draw(page, strokes)
            if page.inner_text("#label") != digit:
                wrong.append(f"{digit} (number {number}) as {page.inner_text('#label')}")
            page.select_option("#right", digit)
            page.click("#save")
            page.wait_for_selector("#saved:not(:empty)")
        assert complaints == []
    tell(f"MNIST: {20 - len(wrong)} of 20 drawn digits read right; wrong: {', '.join(wrong) or 'none'}")
    assert len(wrong) <= 20 - FEWEST_RIGHT
    (root,) = {folder.parent for folder in kept.rglob("7") if folder.is_dir()}
    taken = train(str(root), output=tmp_path / "learned", settings={"training.epochs": 1, "split.stratify": False})
    assert taken.run.predictor().class_names == tuple("0123456789")


@needs_runtime
def test_the_web_export_agrees_in_browser(mnist: Run, tmp_path: Path, tell: Callable[[str], None]):
    """To a thousandth in every probability, on the drawings and on pictures of the test set given as files."""
    export(mnist, "web", tmp_path / "web")
    test = CATALOG["mnist"].read().test
    assert test is not None
    given, images = [strokes for _, strokes in drawings()], list(test.images[:TEST_PICTURES])
    with hosted(tmp_path / "web") as address, browsing(f"{address}/") as (page, complaints):
        ours, our_map = answers_of(page, address, given, images), map_of(page, address, given[14], "7")
        assert complaints == []
    with served(mnist.path) as address, browsing(address) as (page, _):
        theirs, their_map = answers_of(page, address, given, images), map_of(page, address, given[14], "7")
    apart = [np.abs(ours - theirs)[part].max() for part in (slice(20), slice(20, None))]
    maps_apart = np.abs(our_map - their_map).max()
    tell(
        f"MNIST: web and server differ by {apart[0]:.1e} on drawings, {apart[1]:.1e} on {TEST_PICTURES} test images, "
        f"{maps_apart:.1e} in a map's logits"
    )
    assert max(apart) <= AGREEMENT
    assert maps_apart <= AGREEMENT
