"""What may be wrong with a dataset: the same image twice, images unlike the others, classes that are missing."""
