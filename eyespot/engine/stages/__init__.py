"""The stages a lowered program is made of, one family a file."""
