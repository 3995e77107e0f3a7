"""Construction of a ledger from a database URL."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mcp_router.ledger.ledger import Ledger, LedgerError
from mcp_router.ledger.spool import Spool
from mcp_router.ledger.sql_ledger import Database, DatabaseLedger, WhenLost
from mcp_router.ledger.sqlite import SqliteDatabase
from providers.installation import format_extra_command

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


async def open_ledger(
    url: str,
    *,
    unwritten: Path | None = None,
    when_lost: WhenLost = "closed",
    clock: Callable[[], float] = time.time,
) -> Ledger:
    """Return the ledger at `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.
    The first use opens it. The directory `unwritten` keeps attempts while the database is unavailable. `when_lost`
    tells whether calls are admitted during that time.

    Raises:
        LedgerError: The URL's scheme is unknown, or its driver is missing.
    """
    spool = None if unwritten is None else Spool(unwritten / _fingerprint(url))
    return DatabaseLedger(_database(url), spool=spool, when_lost=when_lost, clock=clock)


def list_files(url: str) -> tuple[Path, ...]:
    """Return the files of the ledger at a URL; empty for a database server."""
    path = _sqlite_file(url)
    return () if path is None else tuple(path.with_name(path.name + end) for end in ("", "-wal", "-shm", "-journal"))


def _database(url: str) -> Database:
    if (path := _sqlite_file(url)) is not None:
        return SqliteDatabase(path)
    if not url.startswith(_POSTGRES):
        kind = url.partition(":")[0][:20]
        raise LedgerError(
            f"database_url starts with {kind!r}: it must start with sqlite:/// (four slashes for an absolute path) "
            "or postgresql://"
        )
    if find_spec("psycopg") is None:
        raise LedgerError(f"a postgresql:// ledger needs its driver: run `{format_extra_command('postgres')}`")
    from mcp_router.ledger.postgres import PostgresDatabase  # noqa: PLC0415 - the driver is an extra

    return PostgresDatabase(url)


def _sqlite_file(url: str) -> Path | None:
    return Path(unquote(url.removeprefix(_SQLITE))).expanduser() if url.startswith(_SQLITE) else None


def _fingerprint(url: str) -> str:
    """Return a name for the database of the kept attempts. It is the same after a change of password."""
    parts = urlsplit(url)
    where = f"{parts.scheme}:{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    return hashlib.sha256(where.encode()).hexdigest()[:12]
