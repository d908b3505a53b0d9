"""What every run's `model.onnx` is written with."""
