import io
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eyespot.errors import RunError
from eyespot.training.console import Interrupt, ProgressDisplay, duration
from eyespot.training.fit import StepProgress
from eyespot.training.history import History, HistoryFile
from eyespot.training.tensorboard import EventFiles

ROW = {"epoch": 1, "loss": 0.5, "accuracy": 0.75, "val_loss": 0.25, "val_accuracy": 0.875, "learning_rate": 0.001,
       "seconds": 2.0, "images_per_second": 1000.0}  # fmt: skip


def test_history_is_on_the_disk_after_each_epoch(tmp_path: Path):
    """Each row can be read as soon as its epoch has ended, and reads back as it was."""
    file = HistoryFile(tmp_path / "history.csv")
    for epoch in (1, 2):
        file.on_epoch(ROW | {"epoch": epoch})
        assert History.read(file.path).rows == [ROW | {"epoch": e} for e in range(1, epoch + 1)]


def test_a_history_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path):
    """A last line cut short by a crash is left out."""
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,accuracy\n1,0.5,0.7\n2,0.4")
    assert History.read(path).rows == [{"epoch": 1, "loss": 0.5, "accuracy": 0.7}]


def test_a_damaged_history_is_refused(tmp_path: Path):
    """A figure that is no number is told with the file's name."""
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5\n2,0.x\n")
    with pytest.raises(RunError, match=r"history\.csv is damaged"):
        History.read(tmp_path / "history.csv")


def test_a_history_that_goes_on_loses_what_is_made_again(tmp_path: Path):
    """Rows written after the checkpoint that training goes on from are replaced."""
    file = HistoryFile(tmp_path / "history.csv")
    rows = [ROW | {"epoch": epoch} for epoch in (1, 2, 3)]
    for row in rows:
        file.on_epoch(row)
    file.start_with(History(rows[:1]))
    file.on_epoch(rows[1])
    assert History.read(file.path).rows == rows[:2]
    file.start_with(History())
    file.on_epoch(rows[0])
    assert History.read(file.path).rows == rows[:1]


def test_tensorboard_reads_the_events(tmp_path: Path):
    """TensorBoard's own reader finds loss and accuracy, training and validation."""
    events = EventFiles(tmp_path)
    events.on_epoch(ROW)
    events.close()
    for name, loss in (("train", 0.5), ("validation", 0.25)):
        read = EventAccumulator(str(tmp_path / name)).Reload()
        assert [(event.step, event.value) for event in read.Scalars("epoch_loss")] == [(1, loss)]
        assert read.Tags()["scalars"] == ["epoch_loss", "epoch_accuracy"]


def test_the_first_signal_asks_and_the_second_stops():
    """One Ctrl-C sets the flag; another one, or one after the block, is a KeyboardInterrupt as usual."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have none
    with Interrupt() as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with Interrupt() as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_a_handler_set_from_c_stays(monkeypatch: pytest.MonkeyPatch):
    """A program around Python may handle signals itself; Python gives None for its handler, and cannot set that."""
    handlers: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: None}

    def set_handler(number: int, handler: Any) -> Any:
        if handler is None:
            raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
        handlers[number], previous = handler, handlers[number]
        return previous

    monkeypatch.setattr(signal, "getsignal", handlers.get)
    monkeypatch.setattr(signal, "signal", set_handler)
    with Interrupt():
        assert handlers[signal.SIGINT] is not signal.default_int_handler
    assert handlers == {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: None}


def test_outside_the_main_thread_nothing_is_installed():
    """In a worker thread, where Python allows no handlers, training still runs."""
    seen: list[bool] = []

    def work() -> None:
        with Interrupt() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_what_is_going_on(terminal: bool):
    """On a terminal a moving bar names epoch, batch, figures, speed and time left; elsewhere only the epochs' lines."""
    console = Console(force_terminal=terminal, width=150, record=True, file=io.StringIO())
    lines: list[str] = []
    with ProgressDisplay(console, lines.append, epochs=3) as display:
        display.on_step(StepProgress(1, 3, 5, 10, 0.5, 0.75, 1234))
        display.bar.refresh()
        shown = console.export_text()
        display.on_epoch(ROW)
    if terminal:
        assert "epoch 1/3" in shown
        assert "batch 5/10  loss 0.5000  accuracy 0.7500  1,234 images/s" in shown
        assert " left" in shown
    else:
        assert shown.strip() == ""
    assert lines[0].startswith("epoch 1/3  loss 0.5000  accuracy 0.7500  val_loss 0.2500  val_accuracy 0.8750")
    assert lines[0].endswith(" left")


def test_lengths_of_time_read_well():
    """Seconds, minutes and hours are said as people say them."""
    assert [duration(s) for s in (0.4, 45, 200, 7500)] == ["0 s", "45 s", "3 min 20 s", "2 h 5 min"]
