"""Hashes of clients' tokens."""

from __future__ import annotations

from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Script, Statement, ask, end, real, real_or_none, tell, text, whole
from mcp_router.ledger.records import ClientToken

MAX_TOKENS = 2
"""Valid tokens of one client: the old one and the new one while they are rotated."""
_SELECT = "SELECT sha256, client, made_at, revoked_at FROM tokens ORDER BY client, made_at, sha256"
_COUNT = "SELECT COUNT(*) FROM tokens WHERE client = ? AND revoked_at IS NULL"
_INSERT = "INSERT INTO tokens (sha256, client, made_at) VALUES (?, ?, ?)"
_REVOKE = "UPDATE tokens SET revoked_at = ? WHERE client = ? AND revoked_at IS NULL AND sha256 LIKE ? RETURNING sha256"


def insert(client: str, sha256: str, now: float) -> Script[bool]:
    """Add a token, or return False if its client has two valid ones."""
    (counted,) = yield from tell(Statement(_COUNT, (clean(client),)))
    if whole(counted[0][0]) >= MAX_TOKENS:
        return False
    yield from end(Statement(_INSERT, (sha256, clean(client), now)))
    return True


def read_all() -> Script[list[ClientToken]]:
    """Return every token, also revoked ones, by client and age."""
    rows = yield from ask(_SELECT)
    return [
        ClientToken(sha256=text(row[0]), client=text(row[1]), made_at=real(row[2]), revoked_at=real_or_none(row[3]))
        for row in rows
    ]


def revoke(client: str, prefix: str, now: float) -> Script[list[str]]:
    """Revoke a client's valid tokens whose hash has a prefix; return their hashes."""
    rows = yield from ask(_REVOKE, now, clean(client), f"{prefix}%")
    return [text(row[0]) for row in rows]
