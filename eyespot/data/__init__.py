"""From a source's name to pixels and labels, divided into splits."""
