"""Progress on a terminal, in a notebook and in a pipe, and the lines beside it."""

import html
import sys
import types
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from eyespot import progress_bars as module
from eyespot.output import Output
from eyespot.progress_bars import NotebookProgress, progress_bars
from eyespot.studies.progress import StudyProgress
from eyespot.training.console import ProgressDisplay
from eyespot.training.fit import StepProgress

COLUMNS = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"))


class Displays:
    """Stands for IPython: what was displayed, and every update of it."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, thing: str, *, display_id: bool = False) -> "Displays":
        assert display_id
        self.shown.append(thing)
        return self

    def update(self, thing: str) -> None:
        self.shown.append(thing)


@pytest.fixture
def displays(monkeypatch: pytest.MonkeyPatch) -> Displays:
    """IPython as far as progress needs it."""
    found = Displays()
    module: Any = types.ModuleType("IPython.display")
    module.HTML, module.display = str, found.display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return found


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change is drawn."""
    monkeypatch.setattr(module, "REDRAWN", 0.0)


def notebook() -> Console:
    return Console(force_jupyter=True)


def step(number: int) -> StepProgress:
    return StepProgress(1, 2, number, 4, 0.5, 0.25, 1000.0)


def test_a_notebook_has_one_display_that_is_updated(displays: Displays, always: None):
    """Bars are one display: it follows the task, escapes what it shows, and is empty in the end."""
    with progress_bars(*COLUMNS, console=notebook()) as bars:
        task = bars.add_task("<b>reading", total=4, figures="")
        for done in range(1, 5):
            bars.update(task, completed=done, figures=f"{done} of 4")
    assert len(displays.shown) == 1 + 4 + 1
    assert "&lt;b&gt;reading" in displays.shown[1]
    assert "<progress value='75.0' max='100'></progress>" in displays.shown[3]
    assert "3 of 4" in displays.shown[3]
    assert displays.shown[-1] == ""


def test_a_display_is_not_updated_at_every_step(displays: Displays):
    """Steps that follow each other quickly are not all drawn: a browser takes five updates a second, not hundreds."""
    with progress_bars(*COLUMNS, console=notebook()) as bars:
        task = bars.add_task("training", total=None, figures="")
        for done in range(1_000):
            bars.update(task, completed=done)
    assert 2 <= len(displays.shown) < 20


def test_the_bars_of_verbs_suit_a_notebook(displays: Displays, always: None):
    """Rich's usual columns, which verbs use for reading and explaining, are drawn too."""
    with progress_bars(console=notebook()) as bars:
        task = bars.add_task("Reading 8 pictures", total=8)
        bars.advance(task, 2)
    assert "Reading 8 pictures" in displays.shown[1]
    assert "25%" in displays.shown[1]
    assert "[progress" not in displays.shown[1]


def test_training_keeps_its_epochs_in_a_notebook(
    displays: Displays, always: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    """Steps move the display, epochs are lines on standard output and in the log, each once."""
    console = notebook()
    with Output(console) as out:
        out.open_log(tmp_path / "log")
        with ProgressDisplay(console, out.say, 2) as display:
            display.on_step(step(1))
            display.on_step(step(4))
            display.on_epoch({"epoch": 1, "loss": 0.5, "accuracy": 0.25, "seconds": 1.0, "images_per_second": 1e3})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("epoch 1/2  loss 0.5000")
    assert (tmp_path / "log").read_text(encoding="utf-8").splitlines() == lines
    assert "batch 4/4  loss 0.5000" in html.unescape(displays.shown[2])


def test_a_study_keeps_its_trainings_in_a_notebook(
    displays: Displays, always: None, capsys: pytest.CaptureFixture[str]
):
    """A line says that a training has ended; the display says how far the study is."""
    with StudyProgress(notebook(), 2.0) as progress:
        experiment = progress.experiment("base", 2.0)
        experiment.on_step(step(4))
        experiment.finish()
    assert capsys.readouterr().out.startswith("base: trained in ")
    assert "base, epoch 1 of 2" in displays.shown[1]


def test_a_quiet_notebook_shows_nothing(displays: Displays, always: None, capsys: pytest.CaptureFixture[str]):
    """With a quiet console there is neither a display nor a line."""
    console = Console(force_jupyter=True, quiet=True)
    with progress_bars(*COLUMNS, console=console) as bars:
        bars.update(bars.add_task("training", total=2, figures=""), completed=1)
    Output(console).say("a line")
    assert displays.shown == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bars_elsewhere_are_richs_and_on_a_terminal_alone(is_terminal: bool):
    """In a log a bar would be a line of nothing."""
    console = Console(file=StringIO(), force_terminal=is_terminal)
    with progress_bars(console=console) as bars:
        bars.add_task("Reading", total=3)
    assert not isinstance(bars, NotebookProgress)
    assert ("Reading" in console.file.getvalue()) == is_terminal  # type: ignore[attr-defined]  # a StringIO
