"""Files of an SQLite ledger: detection of removed or replaced files, and their recovery."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

_Inode = tuple[int, int]

_log = logging.getLogger(__name__)


class LedgerFiles(NamedTuple):
    """Device and inode of the database file, its write-ahead log and the log's index; None for a missing one."""

    main: _Inode | None
    wal: _Inode | None
    shm: _Inode | None

    def differ_from(self, opened: LedgerFiles) -> bool:
        """Return whether an opened file is now missing or another one. While a ledger is open, SQLite itself never
        removes or replaces one.
        """
        return any(before is not None and now != before for now, before in zip(self, opened, strict=True))


def identify_files(path: Path) -> LedgerFiles:
    """Return the identity of a ledger's files as they are now."""
    return LedgerFiles(*map(_identify, (path, *_list_logs(path))))


def rescue(connection: sqlite3.Connection, path: Path, opened: LedgerFiles) -> Path | None:
    """Save the rows that an open connection still sees after its files were removed or replaced. Return a complete copy
    of the ledger if its file is gone.

    Raises:
        sqlite3.Error: The copy failed.
    """
    now = identify_files(path)
    if now.main is None:
        _log.error("the ledger %s was deleted while in use: putting it back", path)
        copy = path.with_name(f"{path.name}.{secrets.token_hex(4)}.rescued")
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
        return copy
    if now.main != opened.main:
        _log.error("the ledger %s was replaced while in use: continuing with the new file", path)
    else:
        _log.error("the -wal or -shm of the ledger %s was deleted while in use: writing its rows to the file", path)
        if now.wal in (None, opened.wal):  # our pages would overwrite those of another process's new log
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return None


def put_in_place(copy: Path | None, path: Path, opened: LedgerFiles) -> None:
    """Remove the logs of a file that is gone, which SQLite would apply to the new one, and put a rescued copy there.
    Another process can be faster; its copy then stays.
    """
    if identify_files(path).main == opened.main:
        return
    for log, inode in zip(_list_logs(path), opened[1:], strict=True):
        if inode is not None and _identify(log) == inode:
            log.unlink(missing_ok=True)
    if copy is not None:
        try:
            os.link(copy, path)
        except FileExistsError:
            _log.warning("another process put the ledger %s back", path)
        copy.unlink()


def _list_logs(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _identify(path: Path) -> _Inode | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
