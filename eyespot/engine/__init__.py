"""The engine: a Keras model lowered to a PyTorch program that shares its weights."""
