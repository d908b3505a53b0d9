"""Prediction with ONNX Runtime: neither Keras nor PyTorch is imported."""

import os

# ONNX Runtime, since 1.29, otherwise reports to its makers which models are opened, and keeps an identifier at home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
