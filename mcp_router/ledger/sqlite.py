"""SQLite: one file and any number of processes. Brief scripts run on the event loop, others in one thread."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, sleep, to_thread

from mcp_router.ledger.ledger import LedgerError, LedgerReplacedError
from mcp_router.ledger.migrations import (
    APPLICATION_ID,
    CLUSTERED,
    MIGRATION_SECONDS,
    MIGRATIONS,
    VERSION,
    format_old_layout,
)
from mcp_router.ledger.queries.statements import Mode, Script
from mcp_router.ledger.sqlite_files import LedgerFiles, identify_files, put_in_place, rescue

T = TypeVar("T")

_OLDEST = (3, 35, 0)
_PATIENCE_SECONDS = 10.0
_WRITES_IN_A_ROW = 100
"""Brief writes before one runs in the thread, whose connection writes the log back to the file (a checkpoint)."""
_PAUSES = (0.002, 0.004, 0.008)
"""Seconds between tries on the event loop. The other writer is mostly this process's thread, which is done by then.
Queueing in the thread would cost each call two switches between thread and event loop.
"""
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PASSING = _BUSY | {sqlite3.SQLITE_FULL}
_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_PERHAPS_FULL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_LEAST_ROOM = 2**16
_CLOSED_TO_US = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)


class SqliteDatabase:
    """One SQLite file. The first use opens it, so starting costs nothing."""

    def __init__(self, path: Path, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Prepare to open `path`. `patience_seconds` limits the wait for another process to finish writing."""
        self._path = path
        self._patience = patience_seconds
        self._connection: sqlite3.Connection | None = None
        # One thread: SQLite admits one writer at a time, and two threads must not share a connection.
        self._thread = CapacityLimiter(1)
        self._brief: _Brief | None = None
        self._files: LedgerFiles | None = None
        self._brief_writes_left = 0

    async def run(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:
        """Run a script as one transaction, and a brief one on the event loop if the file is free: switching to the
        thread and back takes several times as long as the script.

        Raises:
            LedgerError: The file could not be read or written.
        """
        if self._files is not None and self._are_files_gone(self._files):
            await to_thread.run_sync(self._recover, limiter=self._thread)
            raise LedgerReplacedError(f"the ledger {self._path} was deleted or replaced while in use; try again")
        if brief and self._may_run_at_once(mode):
            for pause in _PAUSES:
                if (found := self._at_once(mode, script)) is not None:
                    return found[0]
                await sleep(pause)
        return await to_thread.run_sync(self._run, mode, script, limiter=self._thread)

    def _are_files_gone(self, opened: LedgerFiles) -> bool:
        now = identify_files(self._path)
        if now.differ_from(opened):
            return True
        self._files = now  # SQLite can have created the log since
        return False

    def _recover(self) -> None:
        """Save the rows that the open connection still sees, and open the files again."""
        if self._connection is None or self._files is None or not identify_files(self._path).differ_from(self._files):
            return  # another task recovered first
        opened = self._files
        try:
            self._close_brief()
            copy = rescue(self._connection, self._path, opened)
            self._close()
            put_in_place(copy, self._path, opened)
            self._open()
        except sqlite3.Error as error:
            self._close()
            raise _explained(error, self._path) from error
        except OSError as error:
            raise _unreachable(self._path, error.strerror or str(error)) from error

    async def shrink(self) -> None:
        """Return free pages to the file system."""
        await to_thread.run_sync(self._shrink, limiter=self._thread)

    async def aclose(self) -> None:
        """Close the file."""
        self._close_brief()
        await to_thread.run_sync(self._close, limiter=self._thread)

    def _may_run_at_once(self, mode: Mode) -> bool:
        if self._connection is None or (mode != "read" and self._brief_writes_left < 1):
            self._brief_writes_left = _WRITES_IN_A_ROW
            return False
        self._brief_writes_left -= mode != "read"
        return True

    def _at_once(self, mode: Mode, script: Callable[[], Script[T]]) -> tuple[T] | None:
        """Run a script without waiting; return None if that is impossible and nothing was done."""
        if self._connection is None:
            return None
        try:
            return (_transaction(self._opened_briefly(self._connection), mode, script()),)
        except sqlite3.Error as error:
            if _code(error) not in _PASSING:
                self._close_brief()
            return None  # the thread waits for the other writer, or raises the error

    def _opened_briefly(self, beside: sqlite3.Connection) -> sqlite3.Connection:
        if self._brief is None or self._brief.beside is not beside:  # the file can have been replaced
            self._close_brief()
            self._brief = _Brief(_open_brief(self._path), beside)
        return self._brief.connection

    def _close_brief(self) -> None:
        if self._brief is not None:
            self._brief.connection.close()
        self._brief = None

    def _run(self, mode: Mode, script: Callable[[], Script[T]]) -> T:
        try:
            connection = self._connection or self._open()
            return _transaction(connection, mode, script())
        except sqlite3.Error as error:
            if _code(error) not in _PASSING:
                self._close()  # the next use opens the file again
            raise _explained(error, self._path) from error
        except OSError as error:
            raise _unreachable(self._path, error.strerror or str(error)) from error

    def _open(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise LedgerError(
                f"the ledger needs SQLite 3.35 or newer, this Python has {sqlite3.sqlite_version}: use a newer Python"
            )
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._files = identify_files(self._path)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has an effect only in an empty file
        _patiently(self._patience, lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = NORMAL")
        if (version := _version(connection)) != VERSION or _application_id(connection) != APPLICATION_ID:
            _wait_up_to(MIGRATION_SECONDS if version else self._patience, connection)
            _migrate(connection, self._path)
            _wait_up_to(self._patience, connection)

    def _shrink(self) -> None:
        if self._connection is None:
            return
        try:
            while _free_pages(self._connection) > 0:  # in steps, so others can write in between
                self._connection.executescript("PRAGMA incremental_vacuum(1000)")  # execute() would free one page
        except sqlite3.Error as error:
            raise _explained(error, self._path) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._files = None


class _Brief(NamedTuple):
    connection: sqlite3.Connection
    beside: sqlite3.Connection
    """The thread's connection when this one was opened. If the thread opens another, this one is opened again."""


def _open_brief(path: Path) -> sqlite3.Connection:
    """Open an existing file for transactions that wait neither for other writers nor for the disk."""
    url = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(url, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def _free_pages(connection: sqlite3.Connection) -> int:
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
        return 0  # rebuilt without auto_vacuum: SQLite reuses the free pages
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _transaction(connection: sqlite3.Connection, mode: Mode, script: Script[T]) -> T:
    connection.execute("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")
    try:
        found = _played(connection, script)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return found


def _played(connection: sqlite3.Connection, script: Script[T]) -> T:
    try:
        statements = next(script)
        while True:
            statements = script.send([connection.execute(sql, values).fetchall() for sql, values in statements])
    except StopIteration as end:
        return end.value


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    # One of several starting processes migrates.
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for step in MIGRATIONS[_our_version(connection, path) :]:
            for sql in step:
                connection.execute(sql.replace(CLUSTERED, "WITHOUT ROWID"))
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _wait_up_to(seconds: float, connection: sqlite3.Connection) -> None:
    """Set the time limit of waiting for other writers."""
    connection.execute(f"PRAGMA busy_timeout = {round(1_000 * seconds)}")


def _our_version(connection: sqlite3.Connection, path: Path) -> int:
    version = _version(connection)
    if version > 0 and _application_id(connection) != APPLICATION_ID:
        remedy = "move it away with its -wal and -shm, or set database_url to another file; it is unchanged"
        raise LedgerError(format_old_layout(str(path), remedy))
    if version > VERSION:
        raise LedgerError(
            f"the ledger {path} has version {version}, this mcp-llm-router knows {VERSION}: "
            "install a newer one, or set database_url to another file"
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise LedgerError(f"{path} is another program's database: set database_url to another file")
    return version


def _application_id(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _patiently(seconds: float, act: Callable[[], object]) -> None:
    """Retry `act` while the file is busy: the switch to WAL ignores `busy_timeout`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code (https://www.sqlite.org/rescode.html); 0 if the driver raised the error."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return 0 if code is None else code & 0xFF


def _explained(error: sqlite3.Error, path: Path) -> LedgerError:
    code = _code(error)
    if code in _BUSY:
        return LedgerError(
            f"the ledger {path} is locked by another program: close what has it open (a backup? a database browser?) "
            "and try again; nothing was written"
        )
    if code in _DAMAGED:
        return LedgerError(
            f"the ledger {path} is damaged ({error}): move it away and restore a backup, or start with an empty one; "
            "nothing was written"
        )
    if code == sqlite3.SQLITE_FULL or (code in _PERHAPS_FULL and _is_full(path)):
        return LedgerError(
            f"the disk of the ledger {path} is full: make room, or run `mcp-llm-router ledger prune`; "
            "nothing was written"
        )
    if code in _CLOSED_TO_US:
        return _unreachable(path, str(error))
    return LedgerError(f"the ledger {path} failed ({error}); nothing was written")


def _is_full(path: Path) -> bool:
    """Return whether the disk is too full for the -wal and -shm, which fail with other codes than SQLITE_FULL."""
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_ROOM
    except OSError:
        return False


def _unreachable(path: Path, reason: str) -> LedgerError:
    return LedgerError(
        f"cannot open the ledger {path} ({reason}): make the folder writable, or set database_url to a file that is"
    )
