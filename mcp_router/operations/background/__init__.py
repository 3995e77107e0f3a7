"""Calls that run on in the background: tasks, their texts, and the process that runs them."""
