"""Runs the command that was given, and turns errors into texts and exit codes."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from inspect import iscoroutinefunction
from io import TextIOWrapper

import anyio

from mcp_router.app import run_app
from mcp_router.cli.exit_codes import FAILED, USAGE
from mcp_router.cli.parser import load_command
from mcp_router.errors import BadInputError, ConfigError, RouterError
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.origin import CURRENT_ORIGIN
from mcp_router.logs import configure_logging
from mcp_router.operations.origins import find_origin
from mcp_router.settings import load
from mcp_router.settings.start_folder import find_start_folder


def run(given: Namespace) -> int:
    """Run a command to its exit code."""
    configure_logging(getattr(given, "log_format", "text"), getattr(given, "log_level", "warning"))
    _replace_unencodable(sys.stdout)
    try:
        code = anyio.run(_run_command, given)
        sys.stdout.flush()
    except (ConfigError, BadInputError) as error:
        print(f"mcp-llm-router: {error}", file=sys.stderr)
        return USAGE
    except RouterError as error:
        trail = f" Attempts: mcp-llm-router explain --call {error.call_id}" if error.call_id else ""
        print(f"mcp-llm-router: {error}{trail}", file=sys.stderr)
        return FAILED
    except LedgerError as error:
        print(f"mcp-llm-router: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader, for example `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _replace_unencodable(stream: object) -> None:
    """Let a sign that the terminal lacks be a question mark: an answer is not lost for it, which may be paid for."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")


async def _run_command(given: Namespace) -> int:
    command = load_command(given.command)
    gc.freeze()
    gc.enable()
    if not iscoroutinefunction(command.run):
        return command.run(load(given.config), given)
    async with run_app(load(given.config)) as app:
        folder = find_start_folder(app.settings.environ, app.settings.working_folder)
        configured = app.settings.configuration.projects
        CURRENT_ORIGIN.set(await find_origin(folder, host="terminal", configured=configured))
        return await command.run(app, given)
