from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from eyespot.data.audit.duplicates import DuplicatePair
from eyespot.data.audit.outliers import Outlier
from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation.label_errors import SuspectLabels
from eyespot.evaluation.metrics import evaluate_probabilities
from eyespot.figures import results
from eyespot.figures.curves import DotRow, dots_with_intervals, learning_curves, learning_rate_curve
from eyespot.figures.dataset import (
    draw_look,
    outlier_gallery,
    pair_gallery,
    pixel_values,
    sample_grid,
    suspect_gallery,
)
from eyespot.figures.style import save, shorten_path
from eyespot.training.diagnose import diagnose
from eyespot.training.history import History
from eyespot.training.lr_finder import RateCurve

pytestmark = pytest.mark.draws


def labelled(names: tuple[str, ...], size: tuple[int, int, int], per_class: int = 3) -> Dataset:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(names)), per_class).astype(np.int64)
    images = generator.integers(0, 256, (len(labels), *size)).astype(np.uint8)
    return Dataset("d", names, Split(images, labels), test=Split(images, labels))


def ink(path: Path) -> float:
    """The share of pixels that are not white."""
    return float((np.asarray(Image.open(path).convert("L")) < 250).mean())


@pytest.mark.parametrize(
    ("names", "size"),
    [
        (("a", "b"), (8, 8, 1)),
        (tuple(f"class {n}" for n in range(32)), (12, 12, 3)),
        (("$x_1", "<script>", "猫", "a very long name indeed, longer than fits"), (40, 70, 1)),
    ],
)
def test_look_draws_any_dataset(names: tuple[str, ...], size: tuple[int, int, int], tmp_path: Path):
    """Two classes or many, grey or colour, odd sizes and odd names: four pictures with something on them."""
    import warnings

    with warnings.catch_warnings():
        # This machine may have no font for Chinese: Matplotlib says so and draws a box.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        paths = draw_look(labelled(names, size), tmp_path)
    assert [path.name for path in paths] == ["samples.png", "pixels.png", "means.png", "classes.png"]
    assert all(ink(path) > 0.02 for path in paths)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in (*figure.texts, *figure.axes[0].texts)]


def named(number: int = 6) -> Dataset:
    """Images whose files have names, one of them long."""
    images = np.random.default_rng(0).integers(0, 256, (number, 8, 8, 1)).astype(np.uint8)
    files = ("cats/a-long-name-of-a-camera-20261128-112233.jpg", *(f"dogs/{row}.jpg" for row in range(1, number)))
    return Dataset("pets", ("cat", "dog"), Split(images, np.arange(number) % 2, files))


def test_tiles_of_an_audit_name_their_files_and_reasons():
    """Whole reasons above, with what was measured; the file below, both ends of a name that is too long."""
    outlier = Outlier(("train", 0), "soft or blurred", 9.0, "fine detail 8.7 (median 15.3)")
    found = texts(outlier_gallery(named(), [outlier]))
    assert "pets: 1 image stands out from the others" in found
    assert "soft or blurred\nfine detail 8.7\n(median 15.3)" in found
    assert "a-long-name-…8-112233.jpg" in found
    suspects = SuspectLabels(np.array([1, 0, 2, 3, 4, 5]), np.linspace(-1, 1, 6), np.array([0, 1, 1, 0, 1, 0]), 2, 1.0)
    found = texts(suspect_gallery(named(), suspects))
    assert {"dog\n→ cat?", "dogs/1.jpg"} <= set(found)
    assert "pets: 2 of 6 training labels may be wrong; the 6 most suspect" in found


def test_pairs_are_drawn_with_what_is_known_of_them():
    """How equal, where and of which class; without files the row. A long title takes two lines."""
    dataset = labelled(("a", "b"), (8, 8, 1))
    exact = DuplicatePair(("train", 4), ("test", 1), "exact", 0.0)
    near = DuplicatePair(("train", 0), ("test", 1), "near", 1e-4)
    found = texts(pair_gallery(dataset, [exact, near]))
    assert {"exactly equal\ntrain, b", "nearly equal\ntest, a", "train, row 4", "test, row 1"} <= set(found)
    assert found[0].replace("\n", " ") == (
        "d: 1 pair of exactly equal images and 1 pair of nearly equal images in two splits"
    )
    assert "\n" in found[0]
    within = DuplicatePair(("train", 0), ("train", 1), "near", 1e-4)
    many = texts(pair_gallery(dataset, [within] * 30))[0]
    assert many == "d: 30 pairs of nearly equal images within a split (the first 24)"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("cats/3.jpg", "cats/3.jpg"),
        ("train/cats/of-2026/3.jpg", "of-2026/3.jpg"),
        ("a/0123456789abcdef.jpg", "012345…ef.jpg"),
        ("$a.jpg", r"\$a.jpg"),
    ],
)
def test_a_path_is_shortened_to_its_end(path: str, shown: str):
    """Folders go first; of a long name both ends stay; a dollar sign begins no formula."""
    assert shorten_path(path, 13) == shown


def test_every_pixel_is_written_in_its_cell():
    """Each value stands in its cell, white on dark and black on light."""
    image = np.array([[0, 255], [127, 128]], np.uint8).reshape(1, 2, 2, 1)
    split = Split(np.concatenate([image, image]), np.array([0, 1], np.int64))
    texts = pixel_values(Dataset("d", ("a", "b"), split)).axes[0].texts
    found = [(*text.get_position(), text.get_text(), text.get_color()) for text in texts]
    assert found == [(0, 0, "0", "white"), (1, 0, "255", "black"), (0, 1, "127", "white"), (1, 1, "128", "black")]


def test_the_grid_has_a_row_a_class():
    """Row by row, every sample shown belongs to the row's class."""
    images = np.zeros((40, 4, 4, 1), np.uint8)
    labels = np.arange(40, dtype=np.int64) % 4
    images += (labels * 60).astype(np.uint8)[:, None, None, None]
    grid = sample_grid(Dataset("d", tuple("abcd"), Split(images, labels))).axes[0].images[0].get_array()
    assert grid is not None
    for row in range(4):
        band = np.asarray(grid)[row * 6 + 1 : row * 6 + 5]
        assert set(np.unique(band)) == {60 * row, 255}


def test_curves_show_the_verdict(tmp_path: Path):
    """Both curves are drawn for loss and accuracy, with the epoch to stop at, also where there is no validation."""
    rows = [
        {"epoch": e, "loss": 1 / e, "accuracy": 0.9, "val_loss": 0.5 + 0.1 * abs(e - 3), "val_accuracy": 0.8}
        for e in range(1, 9)
    ]
    history = History(rows)
    figure = learning_curves(history, diagnose(history, 10), "my run")
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation", "epoch to stop at: 3"]
    assert figure.get_suptitle() == "my run: Overfitting"
    assert ink(save(figure, tmp_path / "c.png")) > 0.01
    alone = History([{"epoch": 1.0, "loss": 0.3, "accuracy": 0.9}])
    assert len(learning_curves(alone, diagnose(alone, 10), "r").axes[0].lines) == 1


@pytest.mark.parametrize("classes", [2, 10, 31])
def test_the_confusion_matrix_is_drawn(classes: int, tmp_path: Path):
    """Counts stand in the cells while they fit; a large matrix is colour alone."""
    dataset = labelled(tuple(f"class {n}" for n in range(classes)), (4, 4, 1))
    split = dataset.train
    found = np.random.default_rng(0).dirichlet(np.ones(classes), len(split)).astype(np.float32)
    evaluation = evaluate_probabilities(found, split.labels, dataset.class_names)
    figure = results.confusion_matrix(evaluation, dataset.class_names, "t")
    written = sum(int(text.get_text()) for text in figure.axes[0].texts)
    assert written == (len(split) if classes <= 30 else 0)
    assert ink(save(figure, tmp_path / "c.png")) > 0.01


def test_galleries_hold_what_they_say(tmp_path: Path):
    """Right ones are right, wrong ones wrong with the surest first; titles name label and prediction."""
    dataset = labelled(("a", "b", "c"), (4, 4, 1), per_class=20)
    split = dataset.train
    found = np.random.default_rng(1).dirichlet(np.ones(3), len(split)).astype(np.float32)
    right, wrong = results.right_rows(split, found), results.wrong_rows(split, found)
    assert (found[right].argmax(axis=1) == split.labels[right]).all()
    assert (found[wrong].argmax(axis=1) != split.labels[wrong]).all()
    assert (np.diff(found[wrong].max(axis=1)) <= 0).all()
    assert len(right) + len(wrong) == len(split)
    figure = results.gallery(split, found, wrong, dataset.class_names, "wrong")
    first = wrong[0]
    names = f"label={dataset.class_names[split.labels[first]]}\npredict={dataset.class_names[found[first].argmax()]}"
    assert figure.axes[0].texts[0].get_text().startswith(names)
    none = results.gallery(split, found, wrong[:0], dataset.class_names, "wrong")
    assert none.axes[0].texts[0].get_text() == "none"
    assert save(none, tmp_path / "n.png").exists()


def test_repeats_are_dots_with_their_mean_and_interval(tmp_path: Path):
    """A row a variant, the first on top; a dot a repeat, a bar for each interval; what has no figures has its name."""
    rows = [
        DotRow("base", (0.9, 0.92), (0.88, 0.94)),
        DotRow("$1 [x]", (0.8, 0.81), (0.79, 0.82), (-0.105, -0.12, -0.09)),
        DotRow("one repeat", (0.85,), None, (-0.05, None, None)),
        DotRow("diverged", ()),
    ]
    figure = dots_with_intervals(rows, "my study")
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["base", r"\$1 [x]", "one repeat", "diverged"]
    assert left.get_ylim()[0] > left.get_ylim()[1]
    assert list(np.asarray(left.lines[0].get_xdata())) == [90, 92]
    ends = [np.asarray(line.get_xdata()) for line in right.lines if line.get_linestyle() == "-"]
    bars = [list(pair) for pair in ends if len(pair) == 2]
    assert [-12, -9] in bars
    assert ink(save(figure, tmp_path / "d.png")) > 0.01


def test_the_curve_shows_the_suggestion(tmp_path: Path):
    """Losses, smoothed losses and the suggested rate are on a logarithmic axis, and all that matters is in view."""
    rates = np.geomspace(1e-6, 1, 100)
    losses = 2.3 / (1 + (rates / 1e-3) ** 2) + 0.2 + 50 * rates**2
    curve = RateCurve(rates, losses, diverged=True)
    figure = learning_rate_curve(curve, 0.002, "d-m")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    raw, smoothed, line = axes.get_lines()
    assert list(np.asarray(raw.get_ydata())) == pytest.approx(list(losses))
    assert list(np.asarray(smoothed.get_ydata())) == pytest.approx(list(curve.smoothed))
    assert list(np.asarray(line.get_xdata())) == [0.002, 0.002]
    assert line.get_label() == "suggested: 0.002"
    low, high = axes.get_ylim()
    assert low <= curve.smoothed.min()
    assert 2.5 < high < 5  # the divergence does not flatten what comes before
    with Image.open(save(figure, tmp_path / "curve.png")) as drawn:
        assert (np.asarray(drawn.convert("L")) < 250).mean() > 0.01
