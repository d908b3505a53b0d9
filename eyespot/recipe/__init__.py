"""Recipes: their schema, their files, and changes of them."""
