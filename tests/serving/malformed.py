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


@dataclass
class Sent:
    """A malformed request: what is sent, and whether its end is kept back (slow, or never to come)."""

    kind: str
    data: bytes
    cut: bool = False
    leaves: bool = False


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


def kinds(r: random.Random) -> dict[str, Callable[[], Sent]]:
    """Each makes a request of its kind, never the same twice."""
    path = r.choice([PREDICT, OCCLUSION, f"{CORRECTIONS}?label=7"])
    noise = r.randbytes(r.randint(1, 300))
    depth = r.choice([10, 500, 2_000, 100_000])
    encoded = base64.b64encode(SEVEN)
    values = [
        "nan",
        "NaN",
        "-inf",
        "1e999",
        "0x1",
        "%00",
        "%FF",
        "'",
        "a" * 3000,
        "१",
        "-1",
        "1.5",
        "",
        "true&reject=true",
    ]
    option = r.choice(["top", "reject", "reject_rate", "as_is", "each", "seen", "label", "nonsense", "count"])

    def sent(kind: str, data: bytes, *, cut: bool = False, leaves: bool = False) -> Sent:
        return Sent(kind, data, cut, leaves)

    whole = raw.post(path, form(SEVEN, SEVEN[:60]), MULTIPART)
    return {
        "truncated form": lambda: sent("truncated form", raw.post(path, form(SEVEN)[: r.randrange(1, 150)], MULTIPART)),
        "damaged form": lambda: sent("damaged form", raw.post(path, mutated(r, form(SEVEN, SEVEN)), MULTIPART)),
        "many parts": lambda: sent("many parts", raw.post(path, form(*[b"x"] * r.randint(90, 2000)), MULTIPART)),
        "a part's head": lambda: sent("a part's head", raw.post(path, form(SEVEN, head=noise * 90), MULTIPART)),
        "short length": lambda: sent("short length", raw.head("POST", path, "Content-Length: 9") + SEVEN),
        "long length": lambda: sent("long length", raw.head("POST", path, "Content-Length: 999") + SEVEN, cut=True),
        "odd length": lambda: sent(
            "odd length",
            raw.head("POST", path, f"Content-Length: {r.choice(['-1', 'x', '1e3', '9' * 30, '+5', '0x5', '5, 6', ''])}") + SEVEN,
        ),
        "two lengths": lambda: sent("two lengths", raw.head("POST", path, "Content-Length: 5", "Content-Length: 6") + b"12345"),
        "length and chunks": lambda: sent(
            "length and chunks",
            raw.head("POST", path, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        ),
        "damaged chunks": lambda: sent(
            "damaged chunks",
            raw.head("POST", path, "Transfer-Encoding: chunked")
            + r.choice([b"zz\r\n", b"5\r\nabc", b"-1\r\n", b"ffffffffffffffff\r\nx", b"1\r\nab\r\n0\r\n\r\n", b"5;" + noise]),
            cut=True,
        ),
        "too long": lambda: sent("too long", raw.post(path, SEVEN.ljust(r.choice([200_001, 300_000, 2_000_000]), b"\0"))),
        "bomb": lambda: sent("bomb", raw.post(path, bomb(r), "Content-Type: image/png")),
        "damaged picture": lambda: sent("damaged picture", raw.post(path, mutated(r, SEVEN), "Content-Type: image/png")),
        "noise": lambda: sent("noise", raw.post(path, noise, "Content-Type: image/jpeg")),
        "deep JSON": lambda: sent("deep JSON", raw.post(path, r.choice([b"[", b'{"a":', b'{"pictures":[[']) * depth, JSON)),
        "wide JSON": lambda: sent("wide JSON", raw.post(path, b'{"pictures":[' + b'"",' * depth + b'""]}', JSON)),
        "damaged JSON": lambda: sent("damaged JSON", raw.post(path, mutated(r, b'{"pictures": ["' + encoded + b'"]}'), JSON)),
        "odd JSON": lambda: sent(
            "odd JSON",
            raw.post(
                path,
                r.choice([b"NaN", b"1e999999", b"null", b'"x"', b"9" * 5000, b'{"picture":null}', b"\xff", "{\ud800".encode("utf-16", "surrogatepass")]),
                JSON,
            ),
        ),
        "bad base64": lambda: sent("bad base64", raw.post(path, b'{"picture": "' + mutated(r, encoded) + b'"}', JSON)),
        "odd option": lambda: sent(
            "odd option", raw.post(f"{path.partition('?')[0]}?{option}={r.choice(values)}".replace("१", "%E0%A5%A7"), SEVEN)
        ),
        "wrong method": lambda: sent(
            "wrong method", raw.head(r.choice(["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "GET"]), path)
        ),
        "unknown method": lambda: sent("unknown method", raw.head(r.choice(["FOO", "get", "P\0ST", "", "X" * 5000]), path)),
        "wrong address": lambda: sent(
            "wrong address",
            raw.head("GET", r.choice(["/", "/v1/", "/v1/models/", "/v1/models//predict", "/%2e%2e/", "//x", "/page/../x", "*", "x", "/\xff", "/" + "a" * 9000, "/v1/models/%00/predict", "/page/%2e%2e%2f__init__.py"])),
        ),
        "wrong type": lambda: sent(
            "wrong type",
            raw.post(path, SEVEN, "Content-Type: " + r.choice(["text/html", "multipart/form-data", "multipart/form-data; boundary=", "image/", "/", ";", "application/json; charset=utf-99", "x" * 5000])),
        ),
        "garbage": lambda: sent("garbage", r.choice([noise + b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])),
        "damaged head": lambda: sent("damaged head", mutated(r, whole[:120]) + whole[120:], cut=True),
        "long head": lambda: sent("long head", raw.head("GET", PREDICT, *(f"X{n}: {'y' * 500}" for n in range(r.randint(150, 600))))),
        "upgrade": lambda: sent("upgrade", raw.head("GET", path, "Connection: Upgrade", f"Upgrade: {r.choice(['websocket', 'h2c'])}")),
        "slow body": lambda: sent("slow body", whole[: -r.randint(1, 60)], cut=True),
        "slow head": lambda: sent("slow head", whole[: r.randint(1, 60)], cut=True),
        "gone": lambda: sent("gone", whole[: r.randint(1, len(whole))], leaves=True),
        "pipelined": lambda: sent("pipelined", GOOD * r.randint(2, 5) + noise + b"\r\n\r\n"),
        "other host": lambda: sent("other host", raw.head("GET", "/v1/models", host=r.choice(["", "evil.example", "[", "a b", "127.0.0.1\0"]))),
    }  # fmt: skip


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
        sent = made[names[number % len(names)]]() if number % 40 else made[r.choice(["slow body", "slow head"])]()
        got = _outcome(port, sent)
        again = raw.ask(port, GOOD) if number % EVERY == 0 else reference
        with lock:
            _judge(found, sent, got)
            found.good += number % EVERY == 0
            found.changed += again is None or (again.status, again.body) != (200, reference.body)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(count)))
    last = raw.ask(port, GOOD)
    found.good += 1
    found.changed += last is None or last.body != reference.body
    return found


def _outcome(port: int, sent: Sent) -> raw.Got | None:
    with raw.connect(port, PATIENCE) as connection:
        with suppress(OSError):
            connection.sendall(sent.data)
        if sent.leaves:
            return None
        try:
            return raw.answer(connection, bodyless=sent.data.startswith(b"HEAD "))
        except ConnectionError:
            return None
        except TimeoutError:
            return raw.Got(0, {}, b"")


def _judge(found: Found, sent: Sent, got: raw.Got | None) -> None:
    found.sent[sent.kind] += 1
    found.statuses[str(got.status) if got else "closed"] += 1
    if got is None:
        return
    if got.status == 0:
        found.faults.append(f"{sent.kind}: no answer to {sent.data[:200]!r}")
    if got.status >= 400 and got.body:
        told = got.json() if got.headers.get("content-type") == "application/problem+json" else None
        found.reasons[str(told["reason"]) if told else "?"] += 1
        if told is None:
            found.faults.append(f"{sent.kind}: {got.status} is no problem: {got.body[:100]!r}")
    if got.status >= 500 and not (got.status == 503 and got.json().get("reason") == "concurrent"):
        found.faults.append(f"{sent.kind}: {got.status} {got.body[:200]!r}")
    if got.status >= 400 and any(sign in got.body for sign in TELLTALE):
        found.faults.append(f"{sent.kind}: tells of the inside: {got.body[:200]!r}")


if __name__ == "__main__":
    seed = int(sys.argv[3]) if sys.argv[3:] else 0
    json.dump(find(int(sys.argv[1]), int(sys.argv[2]), seed).to_dict(), sys.stdout)
