"""`eyespot serve` as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.serving.conftest import client_of


@dataclass
class Process:
    """A server in a process."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    client: httpx.Client

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "eyespot", "serve", *map(str, arguments)]


@contextmanager
def served(folder: Path, log: Path, *options: object, **variables: str) -> Iterator[Process]:
    """Starts it, on a free port; it is killed at the end if it is still there."""
    environment = {name: value for name, value in os.environ.items() if name != "EYESPOT_TOKEN"} | variables
    with log.open("w") as errors:
        process = subprocess.Popen(
            command(folder, "--port", 0, "--json", *options),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        port = int(told["address"].rpartition(":")[2])
        with client_of(f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Process(process, port, log, client)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
