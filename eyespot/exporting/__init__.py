"""Models in the formats other programs run."""

import eyespot.inference  # noqa: F401 - before ONNX Runtime, whose telemetry it turns off
