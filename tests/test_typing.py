"""What type checkers, and editors by them, know of eyespot: two programs of a user, one of them with mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / "tests" / "typing"
MISTAKES = {
    (path.name, number)
    for path in PROGRAMS.glob("*.py")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    if "# mistake" in line
}


def mypy() -> set[tuple[str, int]]:
    """Files and lines of mypy's errors, with this project's strict settings, and its cache, which make test fills."""
    command = [sys.executable, "-m", "mypy", "--output", "json", *map(str, PROGRAMS.glob("*.py"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {(Path(error["file"]).name, error["line"]) for error in found if error["severity"] == "error"}


def pyright() -> set[tuple[str, int]]:
    """Files and lines of pyright's errors; basedpyright is pyright with its Node.js, and needs no network."""
    pytest.importorskip("basedpyright", reason="basedpyright is not installed; the extra dev has it")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "-p", str(PROGRAMS)], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {(Path(error["file"]).name, error["range"]["start"]["line"] + 1) for error in found}


@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda checker: checker.__name__)
def test_a_type_checker_finds_the_mistakes_of_a_program(checker):
    """It accepts a program that is right, knows the type of each result, and reports each mistake at its line."""
    assert len(MISTAKES) == 3
    assert checker() == MISTAKES
