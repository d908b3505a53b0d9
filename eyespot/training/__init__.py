"""From a model and a dataset to trained weights, their history, and a verdict on the fit."""

import eyespot.backend  # noqa: F401 - before PyTorch, whose threads it has wait briefly
