"""A pseudo-terminal that a command runs on, as it does for a person."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


def run_on_terminal(
    words: list[str],
    environ: Mapping[str, str],
    folder: Path,
    *,
    columns: int = 80,
    interrupt_when: Callable[[], bool] | None = None,
) -> tuple[int, str]:
    """Run the command line with standard output and error on one terminal; return its exit code and what it showed.

    Args:
        words: The command and its options.
        environ: Variables beside PATH, COLUMNS and TERM.
        folder: The working folder.
        columns: The terminal's width.
        interrupt_when: Sends Ctrl-C once it returns True.
    """
    ours, theirs = pty.openpty()
    known = {"PATH": os.environ["PATH"], "COLUMNS": str(columns), "TERM": "xterm", **environ}
    command = [sys.executable, "-P", "-m", "mcp_router", *words]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=known, cwd=folder
    ) as process:
        os.close(theirs)
        if interrupt_when is not None:
            while process.poll() is None and not interrupt_when():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.01)
            process.send_signal(signal.SIGINT)
        shown = b""
        with suppress(OSError):  # Linux reports the end of a terminal as an error
            while piece := os.read(ours, 65_536):
                shown += piece
        process.wait(60)
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")
