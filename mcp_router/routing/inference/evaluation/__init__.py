"""Scores what is inferred from prompts; what `eval` prints."""
