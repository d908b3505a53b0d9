"""The engine: a Keras model lowered to a PyTorch program that shares its weights."""

import eyespot.backend  # noqa: F401 - before PyTorch, whose threads it has wait briefly
