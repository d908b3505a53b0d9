"""Loops for the processor, compiled by Numba (extra `fast`)."""

from pathlib import Path
from typing import Any


def are_compiled() -> bool:
    """Whether an earlier process has left compiled loops on the disk, where Numba keeps them."""
    from eyespot.engine.kernels.cpu.epilogue import forward
    from eyespot.engine.kernels.cpu.numba_support import sources_digest

    loop: Any = forward.__wrapped__  # type: ignore[attr-defined]
    return any(Path(loop.stats.cache_path).glob(f"epilogue.forward-{sources_digest()}-*.nbi"))
