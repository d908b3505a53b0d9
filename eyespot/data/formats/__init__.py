"""A user's own pictures: a module for each form they come in; `listing` is what they have in common."""
