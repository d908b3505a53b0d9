"""Keras on PyTorch: the one place that imports Keras; the package itself has chosen the backend before."""

import sys

from eyespot.errors import EyespotError

if "keras" in sys.modules:
    _chosen = sys.modules["keras"].config.backend()
    if _chosen != "torch":
        raise EyespotError(
            f"Keras is already imported with the {_chosen} backend, and eyespot runs on PyTorch: import eyespot before "
            "keras, or set KERAS_BACKEND=torch."
        )

import keras

__all__ = ["keras"]
