from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot.data.dataset import Dataset, Split
from eyespot.evaluation.metrics import evaluate_probabilities
from eyespot.figures import results
from eyespot.figures.curves import DotRow, dots_with_intervals, learning_curves, learning_rate_curve
from eyespot.figures.dataset import draw_look, pixel_values, sample_grid
from eyespot.figures.style import save
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
