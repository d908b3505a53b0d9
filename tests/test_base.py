from contextlib import suppress
from pathlib import Path

from rich.console import Console

from eyespot.errors import first_line, unknown
from eyespot.files import replacing, write_text
from eyespot.output import Output
from eyespot.random import seed_for


def test_an_unknown_name_comes_with_the_nearest():
    """A misspelt name is answered with the one that was meant, and with all there are."""
    told = unknown("dataset", "fashion_mnist", ["mnist", "fashion-mnist", "digits"])
    assert "Did you mean 'fashion-mnist'?" in told
    assert "digits, fashion-mnist, mnist" in told


def test_an_error_is_one_line():
    """Of a message of many lines the first one is shown, without its full stop; of none the error's type."""
    assert first_line(ValueError("\n  the graph is no good.\nat line 3")) == "the graph is no good"
    assert [first_line(ValueError(text)) for text in ("", "\n", ".")] == ["ValueError"] * 3


def test_seeds_differ_by_name_and_by_seed():
    """Streams of one seed, and one stream of neighbouring seeds, have unrelated seeds that never change."""
    assert len({seed_for(seed, name) for seed in range(50) for name in ("weights", "order", "dropout")}) == 150
    assert seed_for(0, "order", 1) == 2090566469


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path):
    """When writing fails, the old content stays and no temporary file is left."""
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_said_is_also_logged(tmp_path: Path):
    """Words go to the console and to the log, square brackets included."""
    console = Console(record=True, quiet=True)
    with Output(console) as out:
        out.open_log(tmp_path / "log")
        out.say("class [bold]x[/bold]")
    assert (tmp_path / "log").read_text() == "class [bold]x[/bold]\n"
