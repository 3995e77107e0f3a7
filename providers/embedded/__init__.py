"""A small model in this process, run by llama.cpp."""
