"""What a model looks at: maps of single pictures, feature maps, filters, the training pictures nearest to a picture."""

import eyespot.backend  # noqa: F401 - before PyTorch, whose threads it has wait briefly
