import json
import subprocess
import sys

import pytest

from eyespot.data.picture_files import FORMATS
from tests.data.picture_files.hostile import attacks

SECONDS = 20  # of a core, where a slow one takes 5
READ = {
    "jpeg exif", "jpeg fill bytes", "jpeg metadata", "png texts", "png exif", "png profile", "png frames", "png grey",
    "png colour", "png alpha", "png alpha 16", "png grey 16", "png palette", "png long", "gif frames", "gif offset",
    "gif at the limit", "tiff loop", "tiff deflate", "tiff long", "ppm of 7 bits small", "ppm text",
}  # fmt: skip
LARGE = {name for name in attacks(0) if name.startswith("png ") or "limit" in name or name == "tiff deflate"}


def outcomes(size: int, names: list[str]) -> dict[str, tuple[float, str]]:
    """Seconds and outcome of each attack, read in one process with little memory."""
    program = [sys.executable, "-m", "tests.data.picture_files.reading", str(size), *names]
    done = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, _, _ in told] == names, done.stderr
    return {name: (seconds, outcome) for name, seconds, outcome in told}


def check(size: int, names: list[str]) -> None:
    for name, (seconds, outcome) in outcomes(size, names).items():
        assert seconds < SECONDS, name
        assert "memory than" not in outcome, name
        assert (outcome == "read") == (name in READ), (name, outcome)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_a_hostile_picture_takes_bounded_memory_and_time():
    """A file of 2 MB, whatever it says, is read or refused within seconds and 512 MB."""
    check(2_000_000, sorted(set(attacks(0)) - LARGE))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_the_largest_hostile_picture_takes_bounded_memory_and_time():
    """So is one of 20 MB, and one of as many pixels as are read, in every mode."""
    check(20_000_000, sorted(attacks(0)))


def test_every_format_that_is_read_is_attacked():
    """No format is read whose cost nobody has tried to drive up."""
    tried = {name.split()[0] for name in attacks(0)}
    assert {each.name.lower() for each in FORMATS} <= tried
