"""A server under steady load, and its memory.

    python -m tests.serving.soak FOLDER SECONDS [leaking]

`leaking` is the control: a server that keeps 100,000 bytes of each answer about a picture. Prints what it found, as
JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.serving.conftest import OCCLUSION, PREDICT, client_of, digit, png

CLIENTS = 3
LEAKING = """
import sys
from eyespot.serving import endpoints
kept, honest = [], endpoints.to_json
def leaking(values):
    kept.append(bytearray(b"x" * 100_000))
    return honest(values)
endpoints.to_json = leaking
sys.argv = ["eyespot", *sys.argv[1:]]
from eyespot.cli.main import main
main()
"""


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def soak(folder: Path, seconds: float, *, leaking: bool = False) -> dict[str, Any]:
    """Asks for so long; memory is fitted by a line over the second half.

    Returns:
        requests, seconds, megabytes at the half and at the end, by the line, and bytes a request.
    """
    arguments = [
        "serve",
        str(folder),
        "--port",
        "0",
        "--json",
        "--quiet",
        "--max-pixels",
        "1000000",
        "--no-corrections",
    ]
    start = ["-c", LEAKING] if leaking else ["-m", "eyespot"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, *start, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        with process, process.stdout:
            address = json.loads(process.stdout.readline())["address"]
            points, answered = _watched(process.pid, address, seconds)
            process.terminate()
            code = process.wait(30)
        errors.seek(0)
        told = errors.read().decode()
    half = points[len(points) // 2 :]
    slope, start_at = np.polyfit([at for at, _, _ in half], [memory for _, memory, _ in half], 1)
    rate = answered / seconds
    return {
        "requests": answered, "seconds": seconds, "exit": code, "log": told, "samples": len(points),
        "half_mb": (start_at + slope * half[0][0]) / 1e6, "end_mb": (start_at + slope * half[-1][0]) / 1e6,
        "grown_mb": slope * (half[-1][0] - half[0][0]) / 1e6, "bytes_a_request": slope / rate,
    }  # fmt: skip


def _watched(process: int, address: str, seconds: float) -> tuple[list[tuple[float, int, int]], int]:
    """Memory second by second while clients ask."""
    stop, counts = threading.Event(), [0] * CLIENTS
    askers = [threading.Thread(target=_ask, args=(address, stop, counts, number)) for number in range(CLIENTS)]
    for asker in askers:
        asker.start()
    points, started = [], time.monotonic()
    while (at := time.monotonic() - started) < seconds:
        points.append((at, resident(process), sum(counts)))
        time.sleep(min(1.0, seconds / 60))
    stop.set()
    for asker in askers:
        asker.join()
    return points, sum(counts)


def _ask(address: str, stop: threading.Event, counts: list[int], number: int) -> None:
    generator = np.random.default_rng(number)
    photograph = np.full((120, 160), 230, np.uint8)
    photograph[30:90, 60:80] = 40
    with client_of(address) as client:
        while not stop.is_set():
            seven, noise = digit(7), generator.integers(0, 256, (8, 8)).astype(np.uint8)
            asked = [
                client.post(PREDICT, content=seven),
                client.post(
                    f"{PREDICT}?reject=true&seen=true", files=[("p", ("a.png", seven)), ("p", ("b", png(noise)))]
                ),
                client.post(PREDICT, json={"pictures": []}),
                client.post(f"{PREDICT}?each=true", content=png(photograph)),
                client.post(OCCLUSION, content=seven),
                client.post(PREDICT, content=seven[: generator.integers(1, len(seven))]),
                client.get("/v1/models"),
                client.get("/metrics") if counts[number] % 50 == 0 else client.get("/health/ready"),
                client.get(f"/{generator.integers(1 << 60)}"),
            ]
            assert {answer.status_code for answer in asked} <= {200, 404, 422}
            counts[number] += len(asked)


if __name__ == "__main__":
    json.dump(soak(Path(sys.argv[1]), float(sys.argv[2]), leaking=sys.argv[3:] == ["leaking"]), sys.stdout)
