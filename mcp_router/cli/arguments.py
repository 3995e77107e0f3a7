"""Translation of command-line options into the arguments of the tools."""

from __future__ import annotations

import json
import os
import select
import stat
import sys
from argparse import Namespace
from pathlib import Path

from mcp_router.errors import BadInputError

_MAX_SCHEMA_BYTES = 1_000_000
_SOCKET_WAIT_S = 1.0
"""How long a socket on standard input may stay silent: programs that start others often leave one open."""


def collect_arguments(given: Namespace) -> dict[str, object]:
    """Return the arguments of `generate` or `explain_route` that the options set.

    Raises:
        BadInputError: Standard input is not text.
    """
    named = {
        "use_case": given.use_case,
        "budget_tier": given.tier,
        "complexity": given.complexity,
        "model": given.model,
        "files": given.file,
        "max_output_tokens": given.max_output_tokens,
        "max_cost_usd": given.max_cost_usd,
        "check": given.check,
        "patience": given.patience,
        "system": getattr(given, "system", None),
        "temperature": getattr(given, "temperature", None),
        "response_schema": None if given.schema is None else _read_schema(Path(given.schema)),
        "per_file": given.per_file,
        "save_to": getattr(given, "save_to", None),
        "resume": getattr(given, "resume", False),
        "overwrite": getattr(given, "overwrite", False),
        "conversation_id": getattr(given, "conversation", None),
        "prompt": _read_prompt(given.prompt),
    }
    return {name: value for name, value in named.items() if value is not None and value is not False and value != []}


def _read_schema(path: Path) -> object:
    """Return the JSON Schema in a file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SCHEMA_BYTES + 1)
    except OSError as exc:
        raise BadInputError(
            f"--schema {path}: cannot be read: {(exc.strerror or 'input/output error').lower()}."
        ) from exc
    if len(data) > _MAX_SCHEMA_BYTES:
        raise BadInputError(f"--schema {path}: is larger than {_MAX_SCHEMA_BYTES} bytes. Name a smaller schema.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise BadInputError(f"--schema {path}: is not JSON: {exc}.") from exc


def _read_prompt(given: str | None) -> str | None:
    """Return the prompt: the argument, standard input, or the argument with piped input after it."""
    if given is None:
        return None if sys.stdin.isatty() else _read_stdin()
    if given == "-":
        return _read_stdin()
    piped = _read_stdin() if _has_piped_input() else ""
    return f"{given}\n\n{piped}" if piped.strip() else given


def _has_piped_input() -> bool:
    """Return whether a pipe, a file or a socket with data stands on standard input."""
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or replaced by an object without a descriptor
        return False
    if stat.S_ISSOCK(mode):
        return bool(select.select([descriptor], [], [], _SOCKET_WAIT_S)[0])
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise BadInputError(f"standard input is not {exc.encoding} text. Name the file with --file.") from exc
