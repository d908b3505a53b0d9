"""Training images changed at random: what may be done to which, what a step draws, and doing it."""
