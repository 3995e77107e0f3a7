"""The caller of an operation: the user of this machine, or a client by its token."""

from __future__ import annotations

from dataclasses import dataclass

SEES_ALL = "sees_all"
"""Token scope of a client that can see what other clients spend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who makes a call, and how much of the ledger they can see."""

    name: str
    """The `client` in ledger and budgets."""
    sees_all: bool


LOCAL = Caller(name="local", sees_all=True)
"""The user who started the server: stdio, and HTTP without configured tokens."""
