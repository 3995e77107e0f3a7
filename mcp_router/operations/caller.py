"""The caller of an operation: the user who started the server, or a client with a token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The identity behind a request, and how much of the ledger it can read."""

    name: str
    """The `client` in ledger and budgets."""
    sees_all: bool
    """Whether it can read other clients' calls and costs."""
    owns_budgets: bool = False
    """Whether it can approve a budget increase: only the user who started the server."""


LOCAL = Caller(name="local", sees_all=True, owns_budgets=True)
"""The user who started the server: stdio, and HTTP without configured clients."""
