"""One seed, many independent streams.

A stream's seed is a hash of the user's seed and the stream's name, so that neighbouring seeds do not give lagged
copies of one stream (Keras's own `SeedGenerator(1)` at call t+1 equals `SeedGenerator(2)` at call t).
"""

import hashlib


def seed_for(seed: int, *names: str | int) -> int:
    """The seed of the stream called `names` under the user's `seed`: an integer in [0, 2**32)."""
    digest = hashlib.sha256("/".join(str(part) for part in (seed, *names)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
