"""The dtype to compute in."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def dtype_for(precision: Precision) -> torch.dtype:
    """float32, bfloat16, or for `auto` bfloat16 where the processor multiplies it natively (AVX-512 BF16, AMX)."""
    if precision == "auto":
        return torch.bfloat16 if _native() else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def why(precision: Precision) -> str:
    """The reason for that dtype, for people."""
    if precision != "auto":
        return "the recipe asks for it"
    native = _native()
    return (
        f"the processor multiplies bfloat16 natively ({native})" if native else "the processor has no native bfloat16"
    )


def _native() -> str | None:
    """The processor's instructions for products of bfloat16."""
    # PyTorch's own switches; it has no public name for them.
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512 BF16" if torch.cpu._is_avx512_bf16_supported() else None
