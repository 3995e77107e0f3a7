"""Runs a plan: attempts, fallback, validation, breakers."""
