"""What a model looks at: maps of single pictures, feature maps, filters, the training pictures nearest to a picture."""
