"""Random numbers as functions of the seed: any step can be repeated without those before it.

A stream's seed is a hash of the user's seed and the stream's name, so that neighbouring seeds do not give lagged
copies of one stream (Keras's own `SeedGenerator(1)` at call t+1 equals `SeedGenerator(2)` at call t).
"""

import hashlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # seeds are asked for where there is no PyTorch, as where only a server is installed
    import torch

Bits = TypeVar("Bits", int, "torch.Tensor")
LOW = 0xFFFFFFFF


def step_keys(seed: int, number: int) -> tuple[int, int]:
    """The two keys of a training's step, from 0 on."""
    return seed_for(seed, "dropout", number), seed_for(seed, "dropout", number, "second key")


def seed_for(seed: int, *names: str | int) -> int:
    """The seed of the stream called `names` under the user's `seed`: an integer in [0, 2**32)."""
    digest = hashlib.sha256("/".join(str(part) for part in (seed, *names)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def stage_keys(keys: tuple[int, int], stage: int) -> tuple[int, int]:
    """The two keys of one of the step's stages."""
    return random_bits(2 * stage, *keys), random_bits(2 * stage + 1, *keys)


def random_bits(index: Bits, first_key: Bits | int, second_key: Bits | int) -> Bits:
    """32 random bits of each index, for Python's integers and for tensors of int64; all are in [0, 2**32).

    Multiply and xor-shift with the constants of Wellons's `lowbias32` (nullprogram.com/blog/2018/07/31), the second key
    mixed in half-way: streams with different keys are not one stream shifted. The kernels have the same.
    """
    word = (index * 0x9E3779B9 + first_key) & LOW
    word = ((word ^ (word >> 16)) * 0x7FEB352D) & LOW
    word ^= second_key
    word = ((word ^ (word >> 15)) * 0x846CA68B) & LOW
    return word ^ (word >> 16)
