"""A small model inside the process, run by llama.cpp."""
