import pytest

from tests.mutation.campaign import PEAK, campaign

pytestmark = pytest.mark.skipif(not PEAK.exists(), reason="how much memory a reader takes is asked of Linux's /proc")
FILES = ["checkpoint", "sealed checkpoint", "model", "sealed model", "weights", "onnx"]


def test_damaged_files_are_refused_or_read_right():
    """Of 120 mutated files of six kinds, each is refused in a sentence or read right; none is slow or large."""
    outcome = campaign(FILES, range(120))
    assert not outcome.wrong
    assert outcome.refused > 60
    assert outcome.loaded > 8


def test_the_campaign_lets_a_good_reader_pass():
    """A control: refusing what was mutated is right, and so is reading what was not."""
    outcome = campaign(["refuses"], range(6))
    assert not outcome.wrong
    assert outcome.refused >= 4


def test_the_campaign_catches_broken_readers():
    """A control: an error as it came, a wrong answer, and a gigabyte are each noticed."""
    told = "\n".join(campaign(["raises", "takes anything", "swells"], range(9)).wrong)
    assert "Error" in told
    assert "text is read as another" in told
    assert "MiB" in told


def test_the_campaign_survives_readers_that_do_not():
    """A control: a crash and a hang end the reading process alone; the files behind are read nevertheless."""
    crashed, hung = campaign(["crashes"], range(3)), campaign(["hangs"], range(3), seconds=0.5)
    assert crashed.refused + crashed.loaded + len(crashed.wrong) == 3
    assert all("the process ended with -6" in told for told in crashed.wrong)
    assert all("the process read for over 0.5 s" in told for told in hung.wrong)
    assert len(crashed.wrong) == len(hung.wrong) >= 2
