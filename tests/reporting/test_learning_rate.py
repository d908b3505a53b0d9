from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot.reporting.learning_rate import learning_rate_curve
from eyespot.reporting.style import save
from eyespot.training.lr_finder import Curve


def test_the_curve_shows_the_suggestion(tmp_path: Path):
    """Losses, smoothed losses and the suggested rate are on a logarithmic axis, and all that matters is in view."""
    rates = np.geomspace(1e-6, 1, 100)
    losses = 2.3 / (1 + (rates / 1e-3) ** 2) + 0.2 + 50 * rates**2
    curve = Curve(rates, losses, diverged=True)
    figure = learning_rate_curve(curve, 0.002, "d-m")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    raw, smoothed, line = axes.get_lines()
    assert list(raw.get_ydata()) == pytest.approx(list(losses))
    assert list(smoothed.get_ydata()) == pytest.approx(list(curve.smoothed))
    assert list(line.get_xdata()) == [0.002, 0.002]
    assert line.get_label() == "suggested: 0.002"
    low, high = axes.get_ylim()
    assert low <= curve.smoothed.min()
    assert 2.5 < high < 5  # the divergence does not flatten what comes before
    with Image.open(save(figure, tmp_path / "curve.png")) as drawn:
        assert (np.asarray(drawn.convert("L")) < 250).mean() > 0.01
