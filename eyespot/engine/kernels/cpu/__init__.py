"""Loops for the processor, compiled by Numba (extra `fast`)."""

from pathlib import Path


def are_compiled() -> bool:
    """Whether an earlier process has left compiled loops on the disk, where Numba keeps them."""
    from eyespot.engine.kernels.cpu.epilogue import forward

    return any(Path(forward._cache.cache_path).glob("epilogue.forward-*.nbi"))
