"""The dtype to compute in."""

from typing import Literal

import torch

from eyespot.backend import keras

Precision = Literal["auto", "float32", "bfloat16"]
FIRST_WITH_BFLOAT16 = (8, 0)


def dtype_for(precision: Precision) -> torch.dtype:
    """float32, bfloat16, or for `auto` bfloat16 where it is multiplied natively (AVX-512 BF16, AMX; CUDA 8.0)."""
    if precision == "auto":
        return torch.bfloat16 if _native() else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def why(precision: Precision) -> str:
    """The reason for that dtype, for people."""
    if precision != "auto":
        return "the recipe asks for it"
    what, native = "the GPU" if _device() == "cuda" else "the processor", _native()
    return f"{what} multiplies bfloat16 natively ({native})" if native else f"{what} has no native bfloat16"


def _device() -> str:
    """The kind of device that new variables of Keras lie on."""
    return str(keras.ops.zeros(()).device.type)


def _native() -> str | None:
    """What multiplies bfloat16 there."""
    if _device() == "cuda":
        capability = torch.cuda.get_device_capability()
        return f"CUDA {capability[0]}.{capability[1]}" if capability >= FIRST_WITH_BFLOAT16 else None
    # PyTorch's own switches; it has no public name for them.
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512 BF16" if torch.cpu._is_avx512_bf16_supported() else None
