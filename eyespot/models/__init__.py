"""Keras models by name, for any input size and number of classes; every one takes raw `uint8` pixels."""
