"""Several runs that differ in stated ways, and what they say together."""
