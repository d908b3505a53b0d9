"""What may be wrong with a dataset: the same picture twice, pictures unlike the others, classes that are missing."""
