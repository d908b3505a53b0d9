"""Stops a server under load again and again, and looks for requests that were lost.

    python -m tests.serving.stops FOLDER COUNT [kill]

Each time, four clients ask without pause, two of them on connections that they keep and two on new ones, and a fifth
sends its bodies slowly; after a random while the server is told to stop. A request is

- answered: its client got all of an answer that is not a refusal for stopping,
- refused: its client got a 503 with `Connection: close`, or could not connect,
- unanswered: it was sent to its end, and its client got no answer. Of these, those whose number is in the server's log
  were accepted: the server had read their head. They are lost; the others came as nobody listened any more.

`kill` is the control: the process is killed instead. Prints what it found, as JSON.
"""

import json
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

from tests.serving import raw
from tests.serving.conftest import PREDICT, digit
from tests.serving.processes import served

SEVEN = digit(7)
ENDED = (ConnectionError, TimeoutError)
LONGEST = 1.0  # seconds of load before the stop


class Clients:
    """Threads that ask until they are told to end, or nobody listens."""

    def __init__(self, port: int) -> None:
        self.port, self.counts, self._lock = port, Counter[str](), threading.Lock()
        self.unanswered: set[str] = set()
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
        number = uuid.uuid4().hex
        request = raw.post(PREDICT, SEVEN, f"X-Request-ID: {number}")
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
                self._judge(raw.answer(connection), number)
            return False
        try:
            got = raw.answer(connection)
        except ENDED:
            got = None
        return self._judge(got, number)

    def _judge(self, got: raw.Got | None, number: str) -> bool:
        if got is None:
            self._count("unanswered")
            self.unanswered.add(number)
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


def stop_once(folder: Path, wait: float, number: signal.Signals) -> tuple[Counter[str], int, float]:
    """Outcomes, the exit code, and the seconds that the stop took."""
    with tempfile.TemporaryDirectory() as place, served(folder, Path(place) / "log", "--no-corrections") as server:
        clients = Clients(server.port)
        time.sleep(wait)
        started = time.monotonic()
        server.process.send_signal(number)
        code = server.process.wait(60)
        seconds = time.monotonic() - started
        clients.end.set()
        found = clients.join()
        read = {line.get("id") for line in server.lines()} if code == 0 else set()
        found["lost"] = len(clients.unanswered & read)
        return found, code, seconds


def campaign(folder: Path, count: int, number: signal.Signals = signal.SIGTERM, seed: int = 0) -> dict[str, Any]:
    """As the module's docstring has it."""
    r = random.Random(seed)  # noqa: S311 - moments, not secrets
    outcomes: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    longest = 0.0
    for _ in range(count):
        found, code, seconds = stop_once(folder, r.uniform(0.1, LONGEST), number)
        outcomes += found
        codes[code] += 1
        longest = max(longest, seconds)
    return {
        "stops": count, "lost": outcomes["lost"], "outcomes": dict(sorted(outcomes.items())), "codes": dict(codes),
        "longest_seconds": longest,
    }  # fmt: skip


if __name__ == "__main__":
    way = signal.SIGKILL if sys.argv[3:] == ["kill"] else signal.SIGTERM
    json.dump(campaign(Path(sys.argv[1]), int(sys.argv[2]), way), sys.stdout)
