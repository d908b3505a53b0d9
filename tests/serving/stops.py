"""Stops a server under load again and again, and looks for requests that were lost.

    python -m tests.serving.stops FOLDER COUNT [kill]

Each time, four clients ask without pause, two of them on connections that they keep and two on new ones, and a fifth
sends its bodies slowly; after a random while the server is told to stop. A request is

- answered: its client got all of an answer that is not a refusal for stopping,
- refused: its client got a 503 with `Connection: close`, or could not connect,
- lost: it was sent to its end, and its client got no answer. This is stricter than "accepted and not answered": it also
  counts requests that the server has never read.

`kill` is the control: the process is killed instead. Prints what it found, as JSON.
"""

import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

from tests.serving import raw
from tests.serving.conftest import PREDICT, digit
from tests.serving.processes import Process, served

SEVEN = digit(7)
ENDED = (ConnectionError, TimeoutError)
LONGEST = 1.0  # seconds of load before the stop


class Clients:
    """Threads that ask until they are told to end, or nobody listens."""

    def __init__(self, port: int) -> None:
        self.port, self.counts, self._lock = port, Counter[str](), threading.Lock()
        self.end = threading.Event()
        ways = (self._kept, self._kept, self._new, self._new, self._slow)
        self.threads = [threading.Thread(target=way) for way in ways]
        for thread in self.threads:
            thread.start()

    def join(self) -> Counter[str]:
        for thread in self.threads:
            thread.join(60)
        return self.counts

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.counts[outcome] += 1

    def _connect(self) -> socket | None:
        try:
            return raw.connect(self.port)
        except ENDED:
            self._count("refused: nobody listens")
            return None

    def _ask(self, connection: socket, *, slowly: bool = False) -> bool:
        """One request; whether the connection goes on."""
        request = raw.post(PREDICT, SEVEN)
        try:
            if slowly:
                connection.sendall(request[:-20])
                time.sleep(0.3)
                connection.sendall(request[-20:])
            else:
                connection.sendall(request)
        except ENDED:
            self._count("ended before it was sent")
            with suppress(*ENDED):  # there may be an answer all the same
                self._judge(raw.answer(connection))
            return False
        try:
            got = raw.answer(connection)
        except ENDED:
            got = None
        return self._judge(got)

    def _judge(self, got: raw.Got | None) -> bool:
        if got is None:
            self._count("lost")
            return False
        closes = got.headers.get("connection") == "close"
        if got.status == 200:
            self._count("answered")
        elif got.status == 503 and closes and got.json()["reason"] == "stopping":
            self._count("refused: 503")
        else:
            self._count(f"unexpected: {got.status}")
        return not closes

    def _kept(self) -> None:
        while not self.end.is_set() and (connection := self._connect()):
            with connection:
                while not self.end.is_set() and self._ask(connection):
                    pass

    def _new(self) -> None:
        while not self.end.is_set() and (connection := self._connect()):
            with connection:
                self._ask(connection)

    def _slow(self) -> None:
        while not self.end.is_set() and (connection := self._connect()):
            with connection:
                self._ask(connection, slowly=True)


def stop_once(folder: Path, wait: float, number: signal.Signals) -> tuple[Counter[str], int, float, int]:
    """Outcomes, the exit code, the seconds that the stop took, and how many the server says it has answered."""
    with tempfile.TemporaryDirectory() as place, served(folder, Path(place) / "log", "--no-corrections") as server:
        clients = Clients(server.port)
        time.sleep(wait)
        started = time.monotonic()
        server.process.send_signal(number)
        code = server.process.wait(60)
        seconds = time.monotonic() - started
        clients.end.set()
        return clients.join(), code, seconds, _told(server)


def _told(server: Process) -> int:
    return sum(line.get("status") == 200 for line in server.lines()) if server.process.returncode == 0 else 0


def campaign(folder: Path, count: int, number: signal.Signals = signal.SIGTERM, seed: int = 0) -> dict[str, Any]:
    """As the module's docstring has it."""
    r = random.Random(seed)  # noqa: S311 - moments, not secrets
    outcomes: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    longest, differing = 0.0, 0
    for _ in range(count):
        found, code, seconds, told = stop_once(folder, r.uniform(0.1, LONGEST), number)
        outcomes += found
        codes[code] += 1
        longest = max(longest, seconds)
        differing += code == 0 and told != found["answered"]
    return {
        "stops": count, "outcomes": dict(sorted(outcomes.items())), "codes": dict(codes),
        "longest_seconds": longest, "logs_that_differ": differing,
    }  # fmt: skip


if __name__ == "__main__":
    way = signal.SIGKILL if sys.argv[3:] == ["kill"] else signal.SIGTERM
    json.dump(campaign(Path(sys.argv[1]), int(sys.argv[2]), way), sys.stdout)
