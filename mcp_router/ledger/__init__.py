"""Attempts, money and the limits that processes share."""
