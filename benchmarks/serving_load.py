"""For `serving.py`: clients that ask a server for one picture after the other, each over one connection.

    python benchmarks/serving_load.py http://127.0.0.1:8000/predict picture.png --clients 8 --seconds 5

Prints one line of JSON: requests a second, quantiles of their milliseconds, and an answer.
"""

import argparse
import http.client
import json
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def main() -> None:
    """Lets all clients ask until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    taken: list[list[float]] = [[] for _ in range(arguments.clients)]
    answers: list[bytes] = []
    picture = arguments.picture.read_bytes()
    until = time.perf_counter() + arguments.seconds
    clients = [
        threading.Thread(target=ask, args=(arguments.url, picture, until, seconds, answers)) for seconds in taken
    ]
    started = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    elapsed = time.perf_counter() - started
    milliseconds = 1000 * np.concatenate(taken)
    quantiles = {name: float(np.quantile(milliseconds, share)) for name, share in QUANTILES.items()}
    assert len(answers) == arguments.clients, "a client has had no answer"
    print(
        json.dumps({"requests_per_second": len(milliseconds) / elapsed, **quantiles, "answer": json.loads(answers[0])})
    )


def ask(url: str, picture: bytes, until: float, seconds: list[float], answers: list[bytes]) -> None:
    """One client, from its first request to its last."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    target = f"{address.path}?{address.query}" if address.query else address.path
    body = b""
    while time.perf_counter() < until:
        started = time.perf_counter()
        connection.request("POST", target, picture, {"Content-Type": "image/png"})
        response = connection.getresponse()
        body = response.read()
        seconds.append(time.perf_counter() - started)
        assert response.status == 200, f"{response.status}: {body[:200]!r}"  # noqa: PLR2004 - OK
    answers.append(body)
    connection.close()


if __name__ == "__main__":
    main()
