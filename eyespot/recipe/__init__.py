"""Recipes: their schema, their files, and how one differs from another."""
