"""What a model looks at: maps of single pictures, feature maps, filters, the training images nearest to a picture."""
