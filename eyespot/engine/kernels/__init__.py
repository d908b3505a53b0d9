"""Fused kernels: compiled by Numba for the processor (`cpu`, extra `fast`), by Triton for a GPU (`cuda`).

Only what has asked `kernels_for` or `why_unavailable` first imports them.
"""

from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch

Kernels = Literal["cpu", "cuda"]


def kernels_for(device: torch.device) -> Kernels | None:
    """Those that run where a program's variables lie; None where there are none, which only costs speed."""
    if device.type not in {"cpu", "cuda"} or why_unavailable(device.type):
        return None
    return "cuda" if device.type == "cuda" else "cpu"


@cache
def why_unavailable(device: str = "cpu") -> str | None:
    """Why kernels for a kind of device cannot be compiled here; None where they can."""
    if device == "cpu" and not find_spec("numba"):
        return "Numba is not installed (pip install 'eyespot[fast]')"
    if device == "cuda" and not find_spec("triton"):
        return "Triton is not installed (it comes with PyTorch for CUDA on Linux)"
    return None
