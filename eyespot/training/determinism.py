"""The same bits again, also on a GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic_kernels(*, wanted: bool) -> Iterator[None]:
    """Within it, where `wanted`, PyTorch uses only algorithms that give the same bits twice; some are slower.

    On the processor it makes no difference: there they all do, with the same number of threads.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for, before its first use
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
