"""Prediction with ONNX Runtime alone: nothing here imports Keras or PyTorch."""
