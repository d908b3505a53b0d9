"""Figures: what was looked at, how training went, what the model gets right and wrong."""
