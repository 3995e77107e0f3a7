"""Which models may answer, in which order, at what price; pure functions."""
