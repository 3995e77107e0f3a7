"""Writes MCP hosts' configuration files."""
