"""The dtype to compute in."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def dtype_for(precision: Precision) -> torch.dtype:
    """float32, bfloat16, or for `auto` bfloat16 where the processor multiplies it natively (AVX-512 BF16, AMX)."""
    if precision == "auto":
        # PyTorch's own switches; it has no public name for them.
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
