"""From a photograph to what the training images look like: background, lines, ink, objects, size and place."""
