"""What every run's `model.onnx` is written with."""

import eyespot.backend  # noqa: F401 - before PyTorch, whose threads it has wait briefly
