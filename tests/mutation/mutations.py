"""Mutations of a file's bytes, each a function of a seed."""

import random
import re
from collections.abc import Callable

HEADER = 512
NUMBERS = (b"0", b"-1", b"7", b"65537", b"100000000", b"9999999999999999999", b"1e400", b"null", b"[]")


def mutated(data: bytes, seed: object) -> bytes:
    """Some bits flipped, the end cut off, a piece put elsewhere, a header overwritten, or a number in JSON replaced."""
    draw = random.Random(str(seed))  # noqa: S311 - places, not secrets
    kinds: list[Callable[[bytearray, random.Random], None]] = [_flip, _flip, _truncate, _splice, _header]
    changed = bytearray(data)
    draw.choice([*kinds, _number, _number] if data[:1] == b"{" else kinds)(changed, draw)
    return bytes(changed)


def _flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 1, 2, 8))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _truncate(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def _splice(data: bytearray, draw: random.Random) -> None:
    """A piece over another, or between two bytes."""
    size = min(draw.randint(1, HEADER), len(data))
    start, place = draw.randrange(len(data) - size + 1), draw.randrange(len(data) - size + 1)
    data[place : place + draw.choice((size, size, 0))] = data[start : start + size]


def _header(data: bytearray, draw: random.Random) -> None:
    """Bytes such as lengths and kinds are made of, near the beginning or, as an archive has it, near the end."""
    near = min(HEADER, len(data))
    start = draw.choice((0, 0, len(data) - near))
    for _ in range(draw.randint(1, 8)):
        data[start + draw.randrange(near)] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))


def _number(data: bytearray, draw: random.Random) -> None:
    found = draw.choice([number.span() for number in re.finditer(rb"-?\d+(\.\d+)?(e-?\d+)?", data)])
    data[slice(*found)] = draw.choice(NUMBERS)
