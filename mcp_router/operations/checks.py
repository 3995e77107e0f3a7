"""Finds the check that a call names, and prepares its command."""

from __future__ import annotations

import shutil
from pathlib import Path

from mcp_router.app import App
from mcp_router.errors import BadInputError, UnknownNameError
from mcp_router.execution.check_command import AGREE, FILE, KEPT_VARIABLES, CheckCommand
from mcp_router.operations.arguments import GenerateArguments, RouteArguments
from mcp_router.settings import CheckSettings

_PROSE = frozenset({"code_generation", "conversation", "summarization", "long_context", "web_research"})
"""Use cases whose answers are prose or code, unless the call says that they are short."""
_MAX_SHORT_TOKENS = 256
_HINT = "Only the user's configuration defines checks, in [checks.NAME]."


def find_check(app: App, arguments: RouteArguments, client: str) -> CheckCommand | None:
    """Return the command of the check that a call names; None if it names none, or `agree`.

    Raises:
        UnknownNameError: There is no such check.
        BadInputError: The client cannot name checks, the call has no file to check, or the command is missing.
    """
    name = arguments.check
    if name is None or name == AGREE:
        return None
    configuration = app.settings.configuration
    known = configuration.clients.get(client)
    if not known.checks if known is not None else app.settings.over_http:
        raise BadInputError(
            f"check = {name}: {client} cannot name checks over HTTP: they run commands on the server's machine. "
            f"Leave check out, use {AGREE}, or ask the operator for a token of a client with checks = true."
        )
    found = configuration.checks.get(name)
    if found is None:
        raise UnknownNameError("check", name, (AGREE, *configuration.checks), hint=_HINT)
    if arguments.save_to is None and isinstance(arguments, GenerateArguments):
        raise BadInputError(f"check = {name} needs save_to: the check runs on the answer's file.")
    return _prepare_command(app, name, found)


def require_comparable(arguments: RouteArguments, use_case: str) -> None:
    """Check that two models' answers to a call can be compared.

    Raises:
        BadInputError: The answer is prose.
    """
    limit = arguments.max_output_tokens
    if arguments.response_schema is None and use_case in _PROSE and (limit is None or limit > _MAX_SHORT_TOKENS):
        raise BadInputError(
            f"check = {AGREE}: two answers to {use_case} are prose, which cannot be compared. Labels, numbers, "
            "letters, short facts and JSON values can: give response_schema, max_output_tokens of at most "
            f"{_MAX_SHORT_TOKENS}, or use_case classification; or name a check of the user's for a file."
        )


def _prepare_command(app: App, name: str, found: CheckSettings) -> CheckCommand:
    settings = app.settings
    where = settings.locate("checks", name, "command")
    program = found.command[0]
    search_path = settings.environ.get("PATH", "")
    cwd = Path(found.cwd).expanduser() if found.cwd is not None else None
    if cwd is not None and not cwd.is_dir():
        raise BadInputError(f'{settings.locate("checks", name, "cwd")} = "{found.cwd}": is not a directory.')
    if FILE not in program and shutil.which(program, path=search_path) is None and not _is_file_in(program, cwd):
        raise BadInputError(f'{where}: the program "{program}" is not on PATH. Ask the user to install or correct it.')
    names = {*KEPT_VARIABLES, *found.env} - _list_secret_variables(app)
    return CheckCommand(
        name=name,
        command=found.command,
        timeout_s=found.timeout_s,
        environ={one: settings.environ[one] for one in names if one in settings.environ},
        cwd=cwd,
        in_place=found.in_place,
        network=found.network,
    )


def _is_file_in(program: str, cwd: Path | None) -> bool:
    return cwd is not None and "/" in program and (cwd / program).is_file()


def _list_secret_variables(app: App) -> set[str]:
    """Return the variables that hold providers' keys and clients' tokens: no command gets these."""
    configuration = app.settings.configuration
    found = {variable for provider in app.catalog.providers.values() for variable in provider.key_env}
    found |= {provider.api_key_env for provider in configuration.providers.values() if provider.api_key_env}
    found |= {client.token_env for client in configuration.clients.values() if client.token_env}
    return found | {"MCP_ROUTER_DATABASE_URL"}
