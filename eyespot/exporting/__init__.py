"""Models in the formats other programs run."""
