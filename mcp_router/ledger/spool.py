"""Attempts kept on disk while the database is unavailable, and written when it is back.

Each attempt is one small file, renamed into place when complete, so readers need no lock. Any process can write any
file to the database. Writing it twice is harmless, because settling is idempotent. A file has no prompt.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anyio import Lock, to_thread
from pydantic import TypeAdapter, ValidationError

from mcp_router.ledger.records import Attempt, Breaker, OutcomeCounts

_SPARE_FILES = 32
_SPARE_BYTES = 4_096
_MTIME_GRAIN_NS = 100_000_000
"""A directory that changes twice within this time can have the same modification time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """Everything that settling an attempt writes."""

    hold_id: str | None
    attempt: Attempt
    breakers: tuple[Breaker, ...] = ()
    counts: OutcomeCounts | None = None


class Spool:
    """Directory of kept settlements, shared by all processes of a machine that use the same ledger. Spare files of a
    fixed size reserve space for some attempts on a full disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen_mtime_ns: int | None = None
        """Modification time of the directory when it was last empty."""
        self._in_memory: list[Settlement] = []
        self._doubtful_holds: list[str] = []
        self._lock = Lock()
        self._has_spares = False

    async def prepare(self) -> None:
        """Create the spare files, once."""
        if not self._has_spares:
            self._has_spares = True
            await to_thread.run_sync(_make_spares, self._folder)

    async def keep(self, settlement: Settlement) -> bool:
        """Keep a settlement; return whether it is on the disk. If not, it is only in memory."""
        try:
            await to_thread.run_sync(_save, self._folder, settlement)
        except OSError as error:
            _log.error("attempt of call %s is in memory only: %s", settlement.attempt.call_id, error)
            self._in_memory.append(settlement)
            return False
        return True

    def doubt(self, hold_id: str) -> None:
        """Remember a hold to release: its call was refused, but its transaction can have been committed."""
        self._doubtful_holds.append(hold_id)

    @property
    def is_in_memory(self) -> bool:
        """Whether any attempt is only in memory."""
        return bool(self._in_memory)

    def has_work(self) -> bool:
        """Return whether there can be anything to write."""
        return bool(self._in_memory or self._doubtful_holds) or self._mtime_ns() != self._seen_mtime_ns

    async def write_all(
        self, settle: Callable[[Settlement], Awaitable[None]], release: Callable[[str], Awaitable[None]]
    ) -> int:
        """Write kept attempts with `settle`, release doubtful holds, and return how many were written. Other calls wait
        until then, because they must not be admitted on an old balance.

        Raises:
            LedgerError: The database is still unavailable. Nothing is lost.
        """
        async with self._lock:
            return await self._write(settle, release) if self.has_work() else 0

    async def _write(
        self, settle: Callable[[Settlement], Awaitable[None]], release: Callable[[str], Awaitable[None]]
    ) -> int:
        written, changed = 0, self._mtime_ns()
        while self._in_memory:
            await settle(self._in_memory[0])
            del self._in_memory[0]
            written += 1
        for path, settlement in await to_thread.run_sync(_load, self._folder):
            await settle(settlement)
            await to_thread.run_sync(_delete, path)
            written += 1
        while self._doubtful_holds:
            await release(self._doubtful_holds[0])
            del self._doubtful_holds[0]
        if written:
            await to_thread.run_sync(_make_spares, self._folder)
        elif changed is None or time.time_ns() - changed > _MTIME_GRAIN_NS:
            self._seen_mtime_ns = changed
        return written

    def _mtime_ns(self) -> int | None:
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return None


@cache
def _json() -> TypeAdapter[Settlement]:
    return TypeAdapter(Settlement)


def _make_spares(folder: Path) -> None:
    """Reserve space for attempts, as much as the disk has."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_SPARE_FILES - sum(1 for _ in folder.glob("*.spare"))):
            path = folder / f"{secrets.token_hex(8)}.spare"
            path.touch(mode=0o600)
            path.write_bytes(b" " * _SPARE_BYTES)
    except OSError as error:
        _log.warning("cannot reserve room for attempts in %s: %s", folder, error)


def _save(folder: Path, settlement: Settlement) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    attempt, content = settlement.attempt, _json().dump_json(settlement)
    name = hashlib.sha256(f"{attempt.number}:{attempt.call_id}".encode(errors="replace")).hexdigest()[:32]
    draft = folder / f"{name}.{os.getpid()}.draft"
    try:
        _write_synced(draft, os.O_CREAT | os.O_TRUNC, content)
    except OSError:
        draft.unlink(missing_ok=True)
        if len(content) > _SPARE_BYTES or not _take_spare(folder, draft):
            raise
        _write_synced(draft, 0, content.ljust(_SPARE_BYTES))
    draft.replace(folder / f"{name}.json")


def _write_synced(path: Path, flags: int, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _take_spare(folder: Path, draft: Path) -> bool:
    """Rename a complete spare file to `draft`; return False if there is none."""
    for spare in folder.glob("*.spare"):
        try:
            spare.replace(draft)
        except FileNotFoundError:
            continue
        if draft.stat().st_size == _SPARE_BYTES:
            return True
        draft.unlink()
    return False


def _load(folder: Path) -> list[tuple[Path, Settlement]]:
    found: list[tuple[Path, Settlement]] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append((path, _json().validate_json(path.read_bytes())))
        except FileNotFoundError:
            continue  # another process wrote it first
        except (ValidationError, OSError) as error:
            _log.warning("cannot read the kept attempt %s (%s): it stays", path, type(error).__name__)
    return found


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
