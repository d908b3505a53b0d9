"""Requests that no client should send, thousands of kinds, and what is answered to them.

    python -m tests.serving.malformed PORT COUNT [SEED]

Prints what it found, as JSON. `find` is also called by the slow tests.
"""

import base64
import json
import random
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.serving import raw
from tests.serving.conftest import CORRECTIONS, OCCLUSION, PREDICT, digit

CLIENTS = 8
EVERY = 50  # malformed ones between two good ones
GOOD = raw.post(f"{PREDICT}?reject=true&seen=true", digit(7), "Content-Type: image/png")
SEVEN, MULTIPART = digit(7), "Content-Type: multipart/form-data; boundary=b"
JSON = "Content-Type: application/json"
TELLTALE = (b"Traceback", b'File "', b'.py", line', b"Exception")
PATIENCE = 15  # seconds for an answer
GONE = "gone"  # the client does not wait for an answer
LENGTHS = ("-1", "x", "1e3", "9" * 30, "+5", "0x5", "5, 6", "")
CHUNKS = (b"zz\r\n", b"5\r\nabc", b"-1\r\n", b"ffffffffffffffff\r\nx", b"1\r\nab\r\n0\r\n\r\n")
VALUES = (b"NaN", b"1e999999", b"null", b'"x"', b"9" * 5000, b'{"picture":null}', b"\xff", "{七".encode("utf-16"))
OPTIONS = ("top", "reject", "reject_rate", "as_is", "each", "seen", "label", "nonsense", "count")
OPTION_VALUES = (
    "nan", "NaN", "-inf", "1e999", "0x1", "%00", "%FF", "'", "a" * 3000, "%E0%A5%A7", "-1", "1.5", "",
    "true&reject=true",
)  # fmt: skip
ADDRESSES = (
    "/", "/v1/", "/v1/models/", "/v1/models//predict", "/%2e%2e/", "//x", "/page/../x", "*", "x", "/\xff",
    "/" + "a" * 9000, "/v1/models/%00/predict", "/page/%2e%2e%2f__init__.py",
)  # fmt: skip
TYPES = (
    "text/html", "multipart/form-data", "multipart/form-data; boundary=", "image/", "/", ";",
    "application/json; charset=utf-99", "x" * 5000,
)  # fmt: skip
GARBAGE = (b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
HOSTS = ("", "evil.example", "[", "a b", "127.0.0.1\0")


@dataclass
class Found:
    """What came of them."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    good: int = 0
    changed: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "sent": sum(self.sent.values()), "kinds": dict(sorted(self.sent.items())),
            "statuses": dict(sorted(self.statuses.items())), "reasons": dict(sorted(self.reasons.items())),
            "faults": self.faults, "good": self.good, "changed": self.changed,
        }  # fmt: skip


def bomb(r: random.Random) -> bytes:
    """A PNG that is small and says it is large, and sometimes is."""
    width, height = r.choice([(40_000, 40_000), (2**31 - 1, 1), (8_001, 8_001), (0, 5), (65_535, 65_535)])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(r.choice([10, 1_000_000])))
    parts = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + parts


def mutated(r: random.Random, data: bytes) -> bytes:
    """Some bytes changed, left out, or twice."""
    changed = bytearray(data)
    for _ in range(r.randint(1, 8)):
        place = r.randrange(len(changed))
        match r.randrange(3):
            case 0:
                changed[place] = r.randrange(256)
            case 1:
                del changed[place : place + r.randint(1, 20)]
            case _:
                changed[place:place] = changed[place : place + r.randint(1, 20)]
        if not changed:
            break
    return bytes(changed)


def form(*files: bytes, end: bytes = b"--b--\r\n", head: bytes = b'name="p"; filename="x.png"') -> bytes:
    parts = (b"--b\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + file + b"\r\n" for file in files)
    return b"".join(parts) + end


def kinds(r: random.Random) -> dict[str, Callable[[], bytes]]:
    """Each makes a request of its kind, hardly ever the same twice."""
    path = r.choice([PREDICT, OCCLUSION, f"{CORRECTIONS}?label=7"])
    bare, noise, depth = path.partition("?")[0], r.randbytes(r.randint(1, 300)), r.choice([10, 500, 2_000, 100_000])
    encoded = base64.b64encode(SEVEN)
    whole = raw.post(path, form(SEVEN, SEVEN[:60]), MULTIPART)

    def json_of(body: bytes) -> bytes:
        return raw.post(path, body, JSON)

    def head(*lines: str, method: str = "POST") -> bytes:
        return raw.head(method, path, *lines)

    return {
        "truncated form": lambda: raw.post(path, form(SEVEN)[: r.randrange(1, 150)], MULTIPART),
        "damaged form": lambda: raw.post(path, mutated(r, form(SEVEN, SEVEN)), MULTIPART),
        "many parts": lambda: raw.post(path, form(*[b"x"] * r.randint(90, 2000)), MULTIPART),
        "a part's head": lambda: raw.post(path, form(SEVEN, head=noise * 90), MULTIPART),
        "short length": lambda: head("Content-Length: 9") + SEVEN,
        "long length": lambda: head("Content-Length: 999") + SEVEN,
        "odd length": lambda: head(f"Content-Length: {r.choice(LENGTHS)}") + SEVEN,
        "two lengths": lambda: head("Content-Length: 5", "Content-Length: 6") + b"12345",
        "length and chunks": lambda: head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        "damaged chunks": lambda: head("Transfer-Encoding: chunked") + r.choice([*CHUNKS, b"5;" + noise]),
        "too long": lambda: raw.post(path, SEVEN.ljust(r.choice([200_001, 300_000, 2_000_000]), b"\0")),
        "bomb": lambda: raw.post(path, bomb(r), "Content-Type: image/png"),
        "damaged picture": lambda: raw.post(path, mutated(r, SEVEN), "Content-Type: image/png"),
        "noise": lambda: raw.post(path, noise, "Content-Type: image/jpeg"),
        "deep JSON": lambda: json_of(r.choice([b"[", b'{"a":', b'{"pictures":[[']) * depth),
        "wide JSON": lambda: json_of(b'{"pictures":[' + b'"",' * depth + b'""]}'),
        "damaged JSON": lambda: json_of(mutated(r, b'{"pictures": ["' + encoded + b'"]}')),
        "odd JSON": lambda: json_of(r.choice(VALUES)),
        "bad base64": lambda: json_of(b'{"picture": "' + mutated(r, encoded) + b'"}'),
        "odd option": lambda: raw.post(f"{bare}?{r.choice(OPTIONS)}={r.choice(OPTION_VALUES)}", SEVEN),
        "wrong method": lambda: head(method=r.choice(["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "GET"])),
        "unknown method": lambda: head(method=r.choice(["FOO", "get", "P\0ST", "", "X" * 5000])),
        "wrong address": lambda: raw.head("GET", r.choice(ADDRESSES)),
        "wrong type": lambda: raw.post(path, SEVEN, f"Content-Type: {r.choice(TYPES)}"),
        "garbage": lambda: r.choice([noise + b"\r\n\r\n", *GARBAGE]),
        "damaged head": lambda: mutated(r, whole[:120]) + whole[120:],
        "long head": lambda: head(*(f"X{number}: {'y' * 500}" for number in range(r.randint(150, 600))), method="GET"),
        "upgrade": lambda: head("Connection: Upgrade", f"Upgrade: {r.choice(['websocket', 'h2c'])}", method="GET"),
        "slow body": lambda: whole[: -r.randint(1, 60)],
        "slow head": lambda: whole[: r.randint(1, 60)],
        GONE: lambda: whole[: r.randint(1, len(whole))],
        "pipelined": lambda: GOOD * r.randint(2, 5) + noise + b"\r\n\r\n",
        "other host": lambda: raw.head("GET", "/v1/models", host=r.choice(HOSTS)),
    }


def find(port: int, count: int, seed: int = 0) -> Found:
    """Sends so many, by eight clients at a time, with good ones between them."""
    found, lock = Found(), threading.Lock()
    reference = raw.ask(port, GOOD)
    assert reference is not None
    assert reference.status == 200

    def one(number: int) -> None:
        r = random.Random(f"{seed} {number}")  # noqa: S311 - no secrets
        made = kinds(r)
        names = sorted(made)
        kind = names[number % len(names)] if number % 40 else r.choice(["slow body", "slow head"])
        sent = made[kind]()
        got = _outcome(port, sent, leaves=kind == GONE)
        again = raw.ask(port, GOOD) if number % EVERY == 0 else reference
        with lock:
            _judge(found, kind, sent, got)
            found.good += number % EVERY == 0
            found.changed += again is None or (again.status, again.body) != (200, reference.body)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(count)))
    last = raw.ask(port, GOOD)
    found.good += 1
    found.changed += last is None or last.body != reference.body
    return found


def _outcome(port: int, sent: bytes, *, leaves: bool) -> raw.Got | None:
    with raw.connect(port, PATIENCE) as connection:
        with suppress(OSError):
            connection.sendall(sent)
        if leaves:
            return None
        try:
            return raw.answer(connection, bodyless=sent.startswith(b"HEAD "))
        except ConnectionError:
            return None
        except TimeoutError:
            return raw.Got(0, {}, b"")


def _judge(found: Found, kind: str, sent: bytes, got: raw.Got | None) -> None:
    found.sent[kind] += 1
    found.statuses[str(got.status) if got else "closed"] += 1
    if got is None:
        return
    if got.status == 0:
        found.faults.append(f"{kind}: no answer to {sent[:200]!r}")
    if got.status >= 400 and got.body:
        told = got.json() if got.headers.get("content-type") == "application/problem+json" else None
        found.reasons[str(told["reason"]) if told else "?"] += 1
        if told is None:
            found.faults.append(f"{kind}: {got.status} is no problem: {got.body[:100]!r}")
    if got.status >= 500 and not (got.status == 503 and got.json().get("reason") == "concurrent"):
        found.faults.append(f"{kind}: {got.status} {got.body[:200]!r}")
    if got.status >= 400 and any(sign in got.body for sign in TELLTALE):
        found.faults.append(f"{kind}: tells of the inside: {got.body[:200]!r}")


if __name__ == "__main__":
    seed = int(sys.argv[3]) if sys.argv[3:] else 0
    json.dump(find(int(sys.argv[1]), int(sys.argv[2]), seed).to_dict(), sys.stdout)
