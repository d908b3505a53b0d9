"""Models over HTTP: FastAPI and uvicorn over ONNX Runtime; nothing here imports Keras, PyTorch or scikit-learn."""
