"""Trials: one's own samples over candidate models, and the route that the results support."""
