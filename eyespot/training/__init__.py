"""From a model and a dataset to trained weights, their history, and a verdict on the fit."""
