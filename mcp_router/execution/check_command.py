"""Runs the user's command that proves an answer: bounded in time and output, without keys, network or survivors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import anyio.to_thread
from anyio.from_thread import check_cancelled
from anyio.lowlevel import RunVar

from mcp_router.files import ResolvedPath, put_sibling, swap_in
from mcp_router.text import strip_controls

AGREE = "agree"
"""The check that compares two models' answers; the name of no command."""
FILE = "{file}"
"""Stands for the answer's file in a command."""
_POLL_S = 0.03
_KILLED_AFTER_S = 2.0
"""Seconds that are waited for a killed command to end."""
_MAX_OUTPUT_BYTES = 8 << 20
_MAX_KEPT_BYTES = 6_000
_MAX_LINES = 40
_MAX_CONCURRENT_CHECKS = max(2, os.cpu_count() or 2)
KEPT_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP"),
    *("SYSTEMROOT", "COMSPEC", "PATHEXT", "USERPROFILE"),
)
"""What a command gets of the environment, besides what `env` names."""
_SANDBOXES = (
    # A process namespace dies with its first process, so that a command that detaches itself ends too.
    ("unshare", "--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child"),
    ("unshare", "--net", "--pid", "--fork", "--kill-child"),
    ("unshare", "--user", "--map-root-user", "--net"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckCommand:
    """A check of the configuration: `[checks.NAME]`."""

    name: str
    command: tuple[str, ...]
    timeout_s: float
    environ: Mapping[str, str]
    """The whole environment of the command."""
    cwd: Path | None = None
    """None: the allowed folder that holds the target."""
    in_place: bool = False
    network: bool = False
    """Whether the command can use the network, where the platform can switch it off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOutcome:
    """What a command said of an answer."""

    passed: bool
    ending: str
    """How it ended, for people: `exit 1`, `stopped after 60 s`."""
    output: str
    """The last lines of its output."""


async def run_check(check: CheckCommand, place: ResolvedPath, data: bytes) -> CheckOutcome:
    """Write an answer's bytes to a file and run a check on it.

    Raises:
        FileRefusedError: The file cannot be written.
        OSError: The command cannot be started.
    """
    return await anyio.to_thread.run_sync(_run, check, place, data, limiter=_find_limiter(in_place=check.in_place))


def _run(check: CheckCommand, place: ResolvedPath, data: bytes) -> CheckOutcome:
    put: Callable[[ResolvedPath, bytes], AbstractContextManager[Path]] = swap_in if check.in_place else put_sibling
    with put(place, data) as file:
        return _run_command(check, file, check.cwd or place.root)


def _run_command(check: CheckCommand, file: Path, cwd: Path) -> CheckOutcome:
    sandbox = () if check.network else find_sandbox()
    process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
        [*sandbox, *(part.replace(FILE, str(file)) for part in check.command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=dict(check.environ),
        start_new_session=True,
    )
    output = _Output()
    reader = threading.Thread(target=output.read, args=(process.stdout,), daemon=True)
    reader.start()
    ends = time.monotonic() + check.timeout_s
    stopped = ""
    try:
        while process.poll() is None and not stopped:
            check_cancelled()
            time.sleep(_POLL_S)
            if output.total > _MAX_OUTPUT_BYTES:
                stopped = f"stopped after {_MAX_OUTPUT_BYTES >> 20} MiB of output"
            elif time.monotonic() > ends:
                stopped = f"stopped after {check.timeout_s:g} s"
    finally:
        _kill_group(process)
    reader.join(_KILLED_AFTER_S)
    ending = stopped or f"exit {process.returncode}"
    return CheckOutcome(passed=not stopped and process.returncode == 0, ending=ending, output=output.format_tail())


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a command with everything that it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_KILLED_AFTER_S)


class _Output:
    """The end of what a command prints."""

    def __init__(self) -> None:
        self.total = 0
        self._tail = b""

    def read(self, pipe: IO[bytes] | None) -> None:
        """Read until the end, and keep little of it; the work of a thread."""
        if pipe is None:
            return
        with suppress(OSError, ValueError), pipe:
            while block := os.read(pipe.fileno(), 65_536):
                self.total += len(block)
                self._tail = (self._tail + block)[-_MAX_KEPT_BYTES:]
                if self.total > 2 * _MAX_OUTPUT_BYTES:
                    return

    def format_tail(self) -> str:
        """Return the last lines, without control sequences."""
        text = strip_controls(self._tail.decode("utf-8", "replace")).strip()
        return "\n".join(text.split("\n")[-_MAX_LINES:])


@lru_cache(maxsize=1)
def find_sandbox() -> tuple[str, ...]:
    """Return the command prefix that takes the network away and ends detached processes; empty if there is none."""
    if not sys.platform.startswith("linux"):
        return ()
    for prefix in _SANDBOXES:
        with suppress(OSError, subprocess.TimeoutExpired):
            tried = subprocess.run(  # noqa: S603 - fixed words
                [*prefix, "true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_KILLED_AFTER_S,
                check=False,
            )
            if tried.returncode == 0:
                return prefix
    return ()


_limiters: RunVar[dict[bool, anyio.CapacityLimiter]] = RunVar("check_limiters")


def _find_limiter(*, in_place: bool) -> anyio.CapacityLimiter:
    """Return this event loop's limiter: checks in place run one at a time."""
    limiters = _limiters.get(None)
    if limiters is None:
        limiters = {True: anyio.CapacityLimiter(1), False: anyio.CapacityLimiter(_MAX_CONCURRENT_CHECKS)}
        _limiters.set(limiters)
    return limiters[in_place]
