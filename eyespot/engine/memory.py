"""Memory that is freed stays with the process: the next step needs as much again.

By default glibc gives large blocks back to the system and maps them anew, which costs some 750 page faults a training
step on a small network.
"""

import ctypes
from functools import cache

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # the numbers in glibc's malloc.h
MIB = 2**20


@cache
def keep_freed_memory() -> bool:
    """Sets glibc's thresholds for this process, once: whether it has them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none to be found by this name
        return False
    settings = {TRIM_THRESHOLD: 1024 * MIB, MMAP_THRESHOLD: 32 * MIB, TOP_PAD: 64 * MIB}
    return all(mallopt(name, value) for name, value in settings.items())
