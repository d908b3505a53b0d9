"""Has many mutated files read, by a process of their own: a reader that crashes takes that one down, and is noticed."""

import faulthandler
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from eyespot.errors import EyespotError
from tests.mutation.controls import CONTROLS
from tests.mutation.mutations import mutated
from tests.mutation.subject import Subject

ROOT = Path(__file__).parent.parent.parent
SECONDS, MEBIBYTES = 5.0, 512
BEGUN, REFUSED, LOADED, WRONG = "begun", "refused", "loaded", "wrong"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}  # files this small are read by one core
PEAK = Path("/proc/self/clear_refs")  # where Linux is told to begin anew with the peak of a process's memory


@dataclass
class Outcome:
    """What became of the files of a campaign.

    Attributes:
        refused: told in words, by an EyespotError.
        loaded: read, and right.
        wrong: for each other one, its seed and what happened.
    """

    refused: int = 0
    loaded: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        tried = self.refused + self.loaded + len(self.wrong)
        return f"{tried} tried, {self.refused} refused, {self.loaded} loaded, {len(self.wrong)} wrong"


def campaign(names: list[str], seeds: range, *, seconds: float = SECONDS) -> Outcome:
    """Mutates a file by each seed and has it read: those of several subjects in turn."""
    outcome, first, again = Outcome(), seeds.start, -1
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        while first < seeds.stop:
            report.write_text("")
            arguments = [",".join(names), folder, str(first), str(seeds.stop), str(seconds)]
            process = [sys.executable, "-W", "ignore", "-m", "tests.mutation.campaign", *arguments]
            done = subprocess.run(process, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
            begun = _count(report.read_text(), outcome)
            if begun is None:
                raise RuntimeError(f"the reading process did not begin: {done.stderr}")
            slow = "Timeout (" in done.stderr
            if slow and begun != again:  # a busy machine, or a hang: which would come again
                first = again = begun
                continue
            if done.returncode:
                how = f"read for over {seconds} s" if slow else f"ended with {done.returncode}"
                outcome.wrong.append(f"seed {begun}: the process {how}: {done.stderr[-2000:]}")
            first = begun + 1
    return outcome


def _count(report: str, outcome: Outcome) -> int | None:
    """Adds what a process reported to the outcome, and returns the seed it began last."""
    begun = None
    for line in report.splitlines():
        word, _, rest = line.partition(" ")
        if word == BEGUN:
            begun = int(rest)
        elif word == WRONG:
            outcome.wrong.append(f"seed {begun}: {rest}")
        else:
            outcome.refused += word == REFUSED
            outcome.loaded += word == LOADED
    return begun


def read_all(names: list[str], folder: Path, seeds: range, seconds: float) -> None:
    """What the process does: an outcome is in the report before the next file is read."""
    subjects = [_subject(name) for name in names]
    wholes = [subject.parts() for subject in subjects]
    for subject, parts in zip(subjects, wholes, strict=True):
        subject.write(folder / subject.name, parts)
        if not subject.right(subject.read(folder / subject.name), "", 0):
            raise RuntimeError(f"{subject.name} is not read right before it is mutated")
    with (folder / "report").open("a", buffering=1) as report:
        for seed in seeds:
            report.write(f"{BEGUN} {seed}\n")
            turn = seed % len(names)
            summary = _campaign_summary(subjects[turn], wholes[turn], folder / subjects[turn].name, seed, seconds)
            report.write(f"{summary}\n")


def _subject(name: str) -> Subject:
    if name in CONTROLS:
        return CONTROLS[name]
    from tests.mutation.subjects import SUBJECTS  # which takes seconds to import

    return SUBJECTS[name]


def _campaign_summary(subject: Subject, parts: dict[str, bytes], path: Path, seed: int, seconds: float) -> str:
    """Mutates one part, has the whole read, and tells what became of it in one line."""
    part = list(parts)[seed * 7919 % len(parts)]
    data = mutated(parts[part], seed)
    changed = sum(new != old for new, old in zip(data, parts[part], strict=False))
    subject.write(path, {**parts, part: data})
    before, started = _resident("VmRSS"), time.perf_counter()
    PEAK.write_text("5")
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        summary = LOADED if subject.right(subject.read(path), part, changed) else f"{WRONG} {part} is read as another"
    except EyespotError:
        summary = REFUSED
    except BaseException as error:  # noqa: BLE001 - any of them is what is looked for
        summary = f"{WRONG} {type(error).__name__}: {str(error).splitlines()[:1]}"
    faulthandler.cancel_dump_traceback_later()
    grown, took = _resident("VmHWM") - before, time.perf_counter() - started
    return f"{WRONG} {grown} MiB, {took:.1f} s" if grown > MEBIBYTES or took > seconds else summary


def _resident(what: str) -> int:
    """MiB of memory that this process has, or has had since the peak began anew."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) // 1024


if __name__ == "__main__":
    chosen, where, first, stop, limit = sys.argv[1:]
    read_all(chosen.split(","), Path(where), range(int(first), int(stop)), float(limit))
