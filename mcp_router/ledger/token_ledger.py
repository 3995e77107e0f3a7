"""The ledger's table of clients' tokens, whichever database has it."""

from __future__ import annotations

from mcp_router.ledger.queries import tokens
from mcp_router.ledger.records import ClientToken
from mcp_router.ledger.task_ledger import Run


class TokenLedger:
    """Hashes of tokens that processes share. Every method is one short transaction and raises `LedgerError` if it
    fails.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def insert(self, client: str, sha256: str, now: float) -> bool:
        """Add a token; return False if its client has `MAX_TOKENS` valid ones."""
        return await self._run("exclusive", lambda: tokens.insert(client, sha256, now), brief=True)

    async def read_all(self) -> list[ClientToken]:
        """Return every token, also revoked ones, by client and age."""
        return await self._run("read", tokens.read_all, brief=True)

    async def revoke(self, client: str, prefix: str, now: float) -> list[str]:
        """Revoke a client's valid tokens whose hash begins with `prefix`; return their hashes."""
        return await self._run("write", lambda: tokens.revoke(client, prefix, now), brief=True)
