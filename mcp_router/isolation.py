"""Child processes for work that hostile input can make endless: bounded in time and memory, and killable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO

_POLL_S = 0.05
_MAX_MEMORY_BYTES = 1_500_000_000
_MAX_CHILDREN = 2
_CHILDREN = threading.BoundedSemaphore(_MAX_CHILDREN)
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP")
"""A child needs no key, so it inherits none."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from mcp_router.isolation import serve; serve()"


class IsolatedWorkError(Exception):
    """Work that a child process did not finish: out of time or memory, or crashed."""


def run_isolated(function: str, data: bytes, *, timeout_s: float, check_cancelled: Callable[[], None]) -> bytes:
    """Run `module:function` on data in a child process; blocks, so call it in a worker thread.

    Args:
        function: Takes and returns bytes.
        data: What it is called with.
        timeout_s: Seconds after which the child is killed.
        check_cancelled: Called every 50 ms; the child is killed if it raises.

    Raises:
        IsolatedWorkError: The child ran out of time or memory, or crashed.
    """
    while not _CHILDREN.acquire(timeout=_POLL_S):
        check_cancelled()
    try:
        return _run_child(function, data, timeout_s, check_cancelled)
    finally:
        _CHILDREN.release()


def _run_child(function: str, data: bytes, timeout_s: float, check_cancelled: Callable[[], None]) -> bytes:
    path = json.dumps([str(Path(entry).resolve()) for entry in sys.path if entry])
    child = subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-I", "-S", "-c", _START, path, function, str(timeout_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
    )
    ends = time.monotonic() + timeout_s
    stdin, child.stdin = child.stdin, None  # `communicate` forgets its input when it is called again
    threading.Thread(target=_feed, args=(stdin, data), daemon=True).start()
    with child:
        try:
            while True:
                try:
                    found, _ = child.communicate(timeout=_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    check_cancelled()
                    if time.monotonic() > ends:
                        raise IsolatedWorkError(f"it took more than {timeout_s:.0f} s") from None
        finally:
            child.kill()
    if child.returncode != 0:
        raise IsolatedWorkError("it ran out of time or memory")
    return found


def _feed(stdin: IO[bytes] | None, data: bytes) -> None:
    if stdin is not None:
        with suppress(OSError), stdin:  # the child may have ended first
            stdin.write(data)


def serve() -> None:
    """Run the function that the command line names on standard input; the body of a child process."""
    module, _, name = sys.argv[2].partition(":")
    _limit(float(sys.argv[3]))
    function: Callable[[bytes], bytes] = getattr(import_module(module), name)
    found = function(sys.stdin.buffer.read())
    sys.stdout.buffer.write(found)
    sys.stdout.buffer.flush()


def _limit(seconds: float) -> None:
    """Bound this process by itself, in case its parent dies first."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows
    import signal  # noqa: PLC0415

    signal.alarm(int(seconds) + 1)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = _MAX_MEMORY_BYTES if most == resource.RLIM_INFINITY else min(most, _MAX_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (memory, most))
