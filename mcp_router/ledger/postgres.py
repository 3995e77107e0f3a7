"""PostgreSQL: one database for a team's servers, through psycopg's async driver.

A list holds the few connections. psycopg_pool would add a package and background tasks. Transactions are short, and
each can start over on a new connection.
"""

from __future__ import annotations

import socket
from asyncio import Task, create_task, get_running_loop
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import psycopg
from anyio import CancelScope, CapacityLimiter, Lock, current_time, fail_after, sleep
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper

from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.migrations import CLUSTERED, MIGRATION_SECONDS, MIGRATIONS, VERSION, format_old_layout
from mcp_router.ledger.queries.statements import Last, Mode, Row, Rows, Script, Statement

T = TypeVar("T")

_CONNECTIONS = 4
"""More would wait for each other, because holds are admitted one at a time."""
_PATIENCE_SECONDS = 10.0
_CUT_MARGIN_S = 0.1
"""Time before its deadline at which an unresponsive connection is closed."""
_RETRY_S = 0.1
_NEVER_S = 2**20
_LOCK = 7_236_001_551
"""Number of the ledger's advisory lock in the database."""
_BEGIN: dict[Mode, tuple[Statement, ...]] = {
    "read": (Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),),
    "write": (Statement("BEGIN"),),
    "exclusive": (
        Statement("BEGIN"),
        Statement(f"SELECT set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock({_LOCK})"),
    ),
    "still": (Statement("BEGIN"), Statement("LOCK TABLE attempts, rollups IN SHARE ROW EXCLUSIVE MODE")),
}
"""An exclusive transaction does not wait for the disk, so the next one starts sooner. A server that crashes can lose
the holds of its last 0.5 s, as SQLite can on a power failure. Every settled attempt is on the disk.
"""
_COMMIT = Statement("COMMIT")
_TABLE = Statement(
    "SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = 'ledger_schema' AND schemaname = ANY(current_schemas(false))"
)
"""Not to_regclass: after waiting for another process's migration, it would return the result from before."""

_OLD_TABLE = Statement(_TABLE.sql.replace("ledger_schema", "ledger_version"))

_Connection = psycopg.AsyncConnection[Row]


class PostgresDatabase:
    """One PostgreSQL database. The first use connects to it, so starting costs nothing."""

    def __init__(self, url: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Parse the URL. `patience_seconds` limits a transaction, including connecting and waiting for others.

        Raises:
            LedgerError: The URL is not a PostgreSQL URL.
        """
        try:
            parts = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:  # its text would show the password
            raise LedgerError(
                "database_url is not a PostgreSQL URL: postgresql://user:password@host:5432/name"
            ) from error
        self._name = f"{parts.get('dbname', '')} at {parts.get('host') or 'localhost'}"
        self._url = url
        self._patience = patience_seconds
        self._idle: list[_Connection] = []
        self._places = CapacityLimiter(_CONNECTIONS)
        self._migrating = Lock()
        self._migrated = False
        self._probing: Task[None] | None = None
        """Task that waits for a server that did not answer."""

    async def run(self, mode: Mode, script: Callable[[], Script[T]], *, brief: bool = False) -> T:  # noqa: ARG002 - nothing is brief over a network
        """Run a script as one transaction. If the server does not answer, fail at once until it does again.

        Raises:
            LedgerError: The database could not be reached, read or written.
        """
        was_migrated, deadline = self._migrated, current_time() + self._patience
        try:
            with fail_after(self._patience):
                async with self._places:
                    return await self._run_on_any(mode, script, deadline)
        except TimeoutError as error:
            if self._migrated and not was_migrated:
                return await self.run(mode, script)  # the time of a migration does not count against the transaction
            busy = "see what keeps PostgreSQL busy"
            do = busy if self._migrated else f"{busy}, perhaps another server that brings its tables up to date"
            raise LedgerError(f"the ledger {self._name} did not answer within {self._patience:g} s: {do}") from error
        except psycopg.Error as error:
            if isinstance(error, psycopg.ProgrammingError):  # a newer version can have changed the tables
                self._migrated = False
                await self._close_idle()
            raise _explained(error, self._name) from error

    async def shrink(self) -> None:
        """Do nothing: PostgreSQL's own vacuum reuses the space."""

    async def aclose(self) -> None:
        """Close the connections."""
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None
        await self._close_idle()

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _run_on_any(self, mode: Mode, script: Callable[[], Script[T]], deadline: float) -> T:
        """Run on an idle or a new connection; at the server's `max_connections`, wait for a connection."""
        if self._probing is not None:
            raise TimeoutError
        while True:
            while self._idle:
                try:
                    return await self._run_on(self._idle.pop(), mode, script, deadline)
                except psycopg.OperationalError:
                    continue  # closed since its last use: the server rolled its transaction back
            try:
                connection = await self._connect(deadline)
            except psycopg.OperationalError as error:
                if not _has_no_connection_left(error) or current_time() + _RETRY_S > deadline - _CUT_MARGIN_S:
                    raise
                await sleep(_RETRY_S)
            else:
                return await self._run_on(connection, mode, script, deadline)

    async def _run_on(self, connection: _Connection, mode: Mode, script: Callable[[], Script[T]], deadline: float) -> T:
        try:
            with self._cut_at(deadline, connection):
                found = await _transaction(connection, mode, script())
        except BaseException:
            await connection.close()  # closing rolls the transaction back in every state
            raise
        self._idle.append(connection)
        return found

    @contextmanager
    def _cut_at(self, deadline: float, connection: _Connection) -> Generator[None]:
        """Close an unresponsive connection at the deadline. Cancelling would first wait 10 s for the server.

        Raises:
            TimeoutError: The deadline came first.
        """
        cutting = get_running_loop().call_at(deadline - _CUT_MARGIN_S, _shut_down, connection)
        try:
            yield
        except psycopg.Error as error:
            if current_time() < deadline - _CUT_MARGIN_S:
                raise
            self._start_probing()
            raise TimeoutError from error
        finally:
            cutting.cancel()

    def _start_probing(self) -> None:
        if self._probing is None:
            self._probing = create_task(self._probe())

    async def _probe(self) -> None:
        """Wait until the server answers or refuses connections at once. Calls then get its error themselves."""
        await self._close_idle()
        while True:
            try:
                self._idle.append(await self._connect(current_time() + self._patience))
            except (TimeoutError, psycopg.errors.ConnectionTimeout):
                await sleep(_RETRY_S)
            except (psycopg.Error, LedgerError):
                break
            else:
                break
        self._probing = None

    async def _connect(self, deadline: float) -> _Connection:
        try:
            with fail_after(deadline - _CUT_MARGIN_S - current_time()):
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=_NEVER_S, application_name="mcp-llm-router"
                )
        except TimeoutError:
            self._start_probing()
            raise
        # One type for all integers, so a statement is prepared once, not once per size of its integers.
        connection.adapters.register_dumper(int, Int8Dumper)
        try:
            async with self._migrating:
                if not self._migrated and not await self._is_current(connection, deadline):
                    # A started migration completes even if its caller times out: a part of it would be rolled back.
                    with CancelScope(shield=True), fail_after(MIGRATION_SECONDS):
                        await _migrate(connection, self._name)
                self._migrated = True
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _is_current(self, connection: _Connection, deadline: float) -> bool:
        with self._cut_at(deadline, connection):
            return await _version(connection) == VERSION


def _shut_down(connection: _Connection) -> None:
    """Shut down the socket of a connection, which ends every wait for it."""
    if not connection.closed:
        with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as duplicate:
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the server closed it first


def _has_no_connection_left(error: psycopg.Error) -> bool:
    """Return whether `max_connections` is reached: SQLSTATE 53300, which libpq gives only as text on connecting."""
    return error.sqlstate == "53300" or "too many clients" in str(error) or "connection slots" in str(error)


async def _transaction(connection: _Connection, mode: Mode, script: Script[T]) -> T:
    """Run a script. BEGIN is sent with its first statements and COMMIT with its last: mostly two round trips."""
    opening = _BEGIN[mode]
    statements = next(script)
    while True:
        last = isinstance(statements, Last)
        rows = await _rows(connection, (*opening, *statements, *((_COMMIT,) if last else ())))
        try:
            statements = script.send(rows[len(opening) : len(opening) + len(statements)])
        except StopIteration as ended:
            if not last:
                await connection.execute(b"COMMIT")
            return ended.value
        opening = ()


async def _rows(connection: _Connection, statements: Sequence[Statement]) -> list[Rows]:
    """Run several statements in one round trip; return the rows of each."""
    async with connection.pipeline():
        cursors = [await connection.execute(_worded(sql), values) for sql, values in statements]
    return [await cursor.fetchall() if cursor.description is not None else [] for cursor in cursors]


@lru_cache(maxsize=256)
def _worded(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


async def _migrate(connection: _Connection, name: str) -> None:
    # One of several starting servers migrates. Unlike a hold, the tables must be on the disk.
    await _rows(connection, (Statement("BEGIN"), Statement(f"SELECT pg_advisory_xact_lock({_LOCK})")))
    await connection.execute(b"SET LOCAL lock_timeout = '10s'")  # a backup can lock the tables
    version = await _version(connection)
    if version > VERSION:
        raise LedgerError(
            f"the ledger {name} has version {version}, this mcp-llm-router knows {VERSION}: "
            "install a newer one, or set database_url to another database"
        )
    if version == 0:
        (old,) = await _rows(connection, (_OLD_TABLE,))
        if old:
            remedy = "set database_url to another database, or rename that one; it is unchanged"
            raise LedgerError(format_old_layout(name, remedy))
        await connection.execute(b"CREATE TABLE ledger_schema (version BIGINT NOT NULL)")
        await connection.execute(b"INSERT INTO ledger_schema VALUES (0)")
    for step in MIGRATIONS[version:]:
        for sql in step:
            await connection.execute(sql.replace(CLUSTERED, "").encode())
    await connection.execute(b"UPDATE ledger_schema SET version = %s", (VERSION,))
    await connection.execute(b"COMMIT")


async def _version(connection: _Connection) -> int:
    """Return the version of the tables; 0 if there are none."""
    (found,) = await _rows(connection, (_TABLE,))
    if not found:
        return 0
    row = await (await connection.execute(b"SELECT version FROM ledger_schema")).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0


def _explained(error: psycopg.Error, name: str) -> LedgerError:
    said = " ".join(str(error).split())[:300]
    match error:
        case psycopg.errors.DiskFull():
            return LedgerError(
                f"the disk of the ledger {name} is full: make room on the database server; nothing was written"
            )
        case psycopg.errors.InsufficientPrivilege():
            return LedgerError(
                f"the ledger {name} refused us ({said}): grant the user its tables, or CREATE on its schema"
            )
        case psycopg.OperationalError():
            return LedgerError(
                f"cannot reach the ledger {name} ({said}): see that PostgreSQL runs and takes our connections"
            )
        case _:
            return LedgerError(f"the ledger {name} failed ({said}); nothing was written")
