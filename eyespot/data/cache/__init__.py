"""Pictures decoded once: a map of their pixels on disk, which training reads in place of the files."""
