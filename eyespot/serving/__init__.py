"""Models over HTTP: Starlette and uvicorn over ONNX Runtime; nothing here imports Keras, PyTorch or scikit-learn."""
