"""From a photograph to what the training pictures look like: background, lines, ink, objects, size and place."""
