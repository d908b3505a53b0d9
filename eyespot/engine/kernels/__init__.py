"""Loops over activations compiled by Numba (extra `fast`); nothing but these files and `fusion` needs it."""
