"""Checks of configuration, keys, routes, ledger and what runs beside the server."""
