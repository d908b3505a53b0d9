"""What the engine asks of the machine: the dtype to compute in, freed memory kept, the same bits again.

By default glibc gives large blocks back to the system and maps them anew, which costs some 750 page faults a training
step on a small network.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch

from eyespot.backend import keras
from eyespot.torch_internals import bfloat16_instructions

Precision = Literal["auto", "float32", "bfloat16"]
FIRST_WITH_BFLOAT16 = (8, 0)
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # the numbers in glibc's malloc.h
MIB = 2**20


def dtype_for(precision: Precision) -> torch.dtype:
    """float32, bfloat16, or for `auto` bfloat16 where it is multiplied natively (AVX-512 BF16, AMX; CUDA 8.0)."""
    if precision == "auto":
        return torch.bfloat16 if _native() else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _native() -> str | None:
    """The instructions that multiply bfloat16 on the device; None where there are none."""
    if _device() == "cuda":
        capability = torch.cuda.get_device_capability()
        return f"CUDA {capability[0]}.{capability[1]}" if capability >= FIRST_WITH_BFLOAT16 else None
    return bfloat16_instructions()


def _device() -> str:
    """The kind of device that new variables of Keras lie on."""
    return str(keras.ops.zeros(()).device.type)


def dtype_reason(precision: Precision) -> str:
    """The reason for that dtype, for people."""
    if precision != "auto":
        return "the recipe asks for it"
    device, native = "the GPU" if _device() == "cuda" else "the processor", _native()
    return f"{device} multiplies bfloat16 natively ({native})" if native else f"{device} has no native bfloat16"


@cache
def keep_freed_memory() -> bool:
    """Sets glibc's thresholds for this process, once: whether it has them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none to be found by this name
        return False
    settings = {TRIM_THRESHOLD: 1024 * MIB, MMAP_THRESHOLD: 32 * MIB, TOP_PAD: 64 * MIB}
    return all(mallopt(name, value) for name, value in settings.items())


@contextmanager
def unrounded_float32() -> Iterator[None]:
    """Within it, a GPU multiplies float32 as it is; by default PyTorch rounds it to TF32 in convolutions."""
    products = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    previous = [product.fp32_precision for product in products]
    for product in products:
        product.fp32_precision = "ieee"
    try:
        yield
    finally:
        for product, precision in zip(products, previous, strict=True):
            product.fp32_precision = precision


@contextmanager
def deterministic_kernels(*, enabled: bool) -> Iterator[None]:
    """Within it, where `enabled`, PyTorch uses only algorithms that give the same bits twice; some are slower.

    On the processor it makes no difference: there they all do, with the same number of threads.
    """
    if not enabled:
        yield
        return
    previous = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for, before its first use
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(previous)
