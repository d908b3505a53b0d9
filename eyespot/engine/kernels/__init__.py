"""Loops over activations compiled by Numba (extra `fast`); only what asks `why_not` first imports them."""

from functools import cache
from importlib.util import find_spec


@cache
def why_not() -> str | None:
    """Why kernels cannot be compiled here; None where they can."""
    if not find_spec("numba"):
        return "Numba is not installed (pip install 'eyespot[fast]')"
    return None
