"""What was said in a conversation, word by word. Nothing is written here unless the user turned that on."""

from __future__ import annotations

from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Script, Statement, ask, text

_KEEP = (
    "INSERT INTO texts (client, call_id, kept_at, said) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (client, call_id) DO UPDATE SET kept_at = excluded.kept_at, said = excluded.said"
)


def store(client: str, call_id: str, said: str, now: float) -> Script[None]:
    """Keep what a client said and heard up to a call."""
    yield from ask(_KEEP, clean(client), clean(call_id), now, clean(said))


def read(client: str, call_id: str) -> Script[str | None]:
    """What a client said and heard up to a call; None where it was not kept, or is another client's."""
    rows = yield from ask("SELECT said FROM texts WHERE client = ? AND call_id = ?", clean(client), clean(call_id))
    return text(rows[0][0]) if rows else None


def drop(before: float) -> Statement:
    """Drop what was kept before a moment."""
    return Statement("DELETE FROM texts WHERE kept_at < ?", (before,))
