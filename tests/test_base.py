from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from eyespot.errors import UsageError, counted, first_line, unknown
from eyespot.files import replacing, write_text
from eyespot.output import Output, console_for, console_for_downloads, printing_to
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


def test_a_noun_agrees_with_its_number():
    """One, none and many; a plural of its own where it has one."""
    assert [counted(number, "file") for number in (0, 1, 2, 1_204)] == ["0 files", "1 file", "2 files", "1,204 files"]
    assert counted(3, "pair of images", "pairs of images") == "3 pairs of images"
    assert counted(1, "pair of images", "pairs of images") == "1 pair of images"


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


def test_verbose_says_whether_and_the_context_says_where(capsys: pytest.CaptureFixture[str]):
    """A verb prints to standard output, or where it is sent; silence stays silence, and other values are an error."""
    elsewhere = Console(stderr=True)
    for verbose in (0, 1):
        console_for(verbose).print("to standard output")
        with printing_to(elsewhere):
            console_for(verbose).print("elsewhere")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("to standard output\n", "elsewhere\n")
    with pytest.raises(UsageError, match=r"`verbose` must be 0 \(silent\) or 1 \(progress and lines\); received 2"):
        console_for(2)


def test_a_download_shows_its_bar_unless_a_verb_is_silent():
    """Bars of downloads go to standard error."""
    assert console_for_downloads().stderr
    for verbose in (0, 1):
        with printing_to(console_for(verbose)):
            assert console_for_downloads().quiet == (not verbose)


def test_what_is_said_is_also_logged(tmp_path: Path):
    """Words go to the console and to the log, square brackets included."""
    console = Console(record=True, quiet=True)
    with Output(console) as out:
        out.open_log(tmp_path / "log")
        out.say("class [bold]x[/bold]")
    assert (tmp_path / "log").read_text() == "class [bold]x[/bold]\n"
