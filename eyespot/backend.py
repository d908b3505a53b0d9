"""Keras on PyTorch: the one place that imports Keras, and chooses its backend where nobody has."""

import os
import sys

from eyespot.errors import EyespotError

NEEDED = "torch"

if "keras" in sys.modules:
    _chosen, _by = sys.modules["keras"].config.backend(), "Keras is already imported with"
else:
    _chosen, _by = os.environ.get("KERAS_BACKEND") or NEEDED, "KERAS_BACKEND is"
if _chosen != NEEDED:
    raise EyespotError(
        f"{_by} {_chosen}, and eyespot runs Keras on PyTorch: set KERAS_BACKEND={NEEDED} before Keras is imported."
    )
os.environ["KERAS_BACKEND"] = NEEDED
# PyTorch's threads wait for each other in a busy loop. Beside other busy programs that starves the thread waited for:
# with a load of 4 on 2 cores a training took two to three times as long by default, and on a quiet machine no less.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import keras  # noqa: E402 - reads the environment

__all__ = ["keras"]
