"""Numbers as the kernels read, write and draw them.

NumPy has no bfloat16, so tensors of it come in as `int16` views of their bits; arithmetic is float32 throughout.
Numba widens `uint32 + uint32` to 64 bits, hence the casts around every step of the hash.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

# Sums may be reordered and multiplications contracted; NaN and infinity keep their meaning, for a diverged loss.
COMPILED: dict[str, Any] = {
    "cache": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"},
}  # fmt: skip
SAFE_LAYERS = ("omp", "tbb")
u16, u32, f32 = np.uint16, np.uint32, np.float32


@cache
def sources_digest() -> str:
    """A name for this state of the kernels' sources.

    It is part of the names of Numba's cache files. Numba itself looks at the file of a function alone: it would go on
    with loops compiled before another file changed, or fail where a type that they were compiled for has moved.
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def serial(function: Callable[..., Any]) -> Callable[..., Any]:
    """A loop that one thread runs."""
    return _cached(function, parallel=False)


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """A loop that is shared out among threads, and may be called from several at once."""
    loop = _cached(function, parallel=True)

    @wraps(loop)
    def call(*arguments: Any) -> None:
        with _turn():
            loop(*arguments)

    return call


def _cached(function: Callable[..., Any], *, parallel: bool) -> Callable[..., Any]:
    function.__qualname__ += f"-{sources_digest()}"
    loop: Callable[..., Any] = njit(**COMPILED, parallel=parallel)(function)
    return loop


def match_threads() -> None:
    """Lets Numba use as many threads as PyTorch.

    Where both use OpenMP, Numba sets the number for both when it starts its threads: to all cores.
    """
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(threads)


@cache
def _turn() -> AbstractContextManager[Any]:
    """What a loop waits for. Numba's own threads, used where OpenMP is missing, end the process at a second loop."""
    match_threads()
    return nullcontext() if numba.threading_layer() in SAFE_LAYERS else Lock()


def bits(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's memory as the kernels take it: float32 as it is, bfloat16 as `int16`."""
    stored: np.ndarray = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return stored


@intrinsic
def _bits_of(typing: Any, value: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), generate


@intrinsic
def _float_of(typing: Any, value: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), generate


def read(value: Any) -> Any:
    """A stored number as float32."""
    raise NotImplementedError("inside kernels only")


def write(value: Any, array: Any) -> Any:
    """A float32 as `array` stores it; bfloat16 rounds to nearest, ties to even."""
    raise NotImplementedError("inside kernels only")


@overload(read, inline="always")
def _read(value: Any) -> Any:
    def as_it_is(value: Any) -> Any:
        return value

    def widened(value: Any) -> Any:
        return _float_of(u32(u32(u16(value)) << u32(16)))

    return as_it_is if value == types.float32 else widened


@overload(write, inline="always")
def _write(value: Any, array: Any) -> Any:  # noqa: ARG001
    def as_it_is(value: Any, array: Any) -> Any:  # noqa: ARG001
        return value

    def rounded(value: Any, array: Any) -> Any:  # noqa: ARG001
        word = _bits_of(value)
        odd = u32(u32(word >> u32(16)) & u32(1))
        return np.int16(u32(word + u32(u32(0x7FFF) + odd)) >> u32(16))

    return as_it_is if array.dtype == types.float32 else rounded


@njit(inline="always")
def drawn(index: Any, first_key: Any, second_key: Any) -> Any:
    """`engine.drawing.drawn`, of uint32."""
    word = u32(u32(index * u32(0x9E3779B9)) + first_key)
    word = u32(u32(word ^ u32(word >> u32(16))) * u32(0x7FEB352D))
    word = u32(word ^ second_key)
    word = u32(u32(word ^ u32(word >> u32(15))) * u32(0x846CA68B))
    return u32(word ^ u32(word >> u32(16)))
