"""Vetting of a stranger's `.keras` file: its archive, its weights and its configuration, without Keras."""
