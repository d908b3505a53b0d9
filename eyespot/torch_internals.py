"""Every private name of PyTorch that eyespot uses, each with the reason; `tests/test_torch_internals.py` checks them.

PyTorch may move any of these in a new version. No other file uses a private name of PyTorch (`tests/test_layout.py`).
They are bound here once: a training step calls them as they are.
"""

from operator import attrgetter

import torch

# Adam and AdamW over whole vectors in one pass. `torch.optim` calls the same, but sorts its tensors at every step.
fused_adam = torch._fused_adam_
fused_adamw = torch._fused_adamw_

# Copies a list of tensors into another in one call; a loop of `copy_` costs a dispatch for every variable.
copy_all = torch._foreach_copy_

# How often PyTorch has changed a tensor in place: whether a copy in bfloat16 is out of date.
change_count = attrgetter("_version")


def bfloat16_instructions() -> str | None:
    """Return what multiplies bfloat16 natively on this processor, or None.

    `precision="auto"` rests on it. PyTorch 2.9 has no public name for these switches.
    """
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512 BF16" if torch.cpu._is_avx512_bf16_supported() else None
