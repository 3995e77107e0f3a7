"""Stored conversations, for users who enabled `store_text`."""

from __future__ import annotations

from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Script, Statement, ask, text

_KEEP = (
    "INSERT INTO texts (client, call_id, kept_at, said) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (client, call_id) DO UPDATE SET kept_at = excluded.kept_at, said = excluded.said"
)


def store(client: str, call_id: str, said: str, now: float) -> Script[None]:
    """Store a client's conversation up to a call."""
    yield from ask(_KEEP, clean(client), clean(call_id), now, clean(said))


def read(client: str, call_id: str) -> Script[str | None]:
    """Return a client's conversation up to a call; None if there is none or it is another client's."""
    rows = yield from ask("SELECT said FROM texts WHERE client = ? AND call_id = ?", clean(client), clean(call_id))
    return text(rows[0][0]) if rows else None


def drop(before: float) -> Statement:
    """Return the statement that deletes texts stored before a time."""
    return Statement("DELETE FROM texts WHERE kept_at < ?", (before,))
