"""Loops for the processor, compiled by Numba (extra `fast`)."""
