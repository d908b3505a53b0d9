"""From probabilities and labels to figures one can believe."""
