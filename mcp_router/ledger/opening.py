"""From a database URL to a ledger."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from mcp_router.ledger import Ledger, LedgerError
from mcp_router.ledger.database import DatabaseLedger
from mcp_router.ledger.sqlite import SqliteDatabase

_SQLITE = "sqlite:///"


async def open_ledger(url: str) -> Ledger:
    """The ledger at a URL: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.
    Nothing is opened before the first use.

    Raises:
        LedgerError: The URL is of no kind we know.
    """
    if url.startswith(_SQLITE):
        return DatabaseLedger(SqliteDatabase(_file(url.removeprefix(_SQLITE))))
    raise LedgerError("database_url must start with sqlite:/// or postgresql://")


def _file(path: str) -> Path:
    return Path(unquote(path)).expanduser()
