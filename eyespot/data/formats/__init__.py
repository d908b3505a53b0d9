"""A user's own images: a module for each form they come in; `listing` is what they have in common."""
