"""`eval`: scores what is inferred from prompts."""
