"""`token`: makes, lists and revokes the tokens of clients."""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import TypedDict

from rich.console import Console

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_config, add_json
from mcp_router.cli.output import create_table
from mcp_router.errors import BadInputError
from mcp_router.ledger.queries.rollups import OWNERS
from mcp_router.text import to_compact_json

_ID_CHARS = 8
_RANDOM_BYTES = 32
_HEXADECIMAL = frozenset("0123456789abcdef")


class _Row(TypedDict):
    """A token as it is listed."""

    client: str
    id: str
    made_at: str
    state: str


def add_options(parser: ArgumentParser) -> None:
    """Add the actions of `token` and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a token for [clients.NAME] and print it once; at most two are valid")
    new.add_argument("name", metavar="NAME", help="name of the client")
    listed = actions.add_parser("list", help="list the tokens, without the tokens themselves")
    listed.add_argument("name", metavar="NAME", nargs="?", help="name of a client (default all)")
    revoke = actions.add_parser("revoke", help="revoke a client's tokens; running servers refuse them within a second")
    revoke.add_argument("name", metavar="NAME", help="name of the client")
    revoke.add_argument(
        "--id", metavar="ID", default="", help="revoke only this token of the client (see `token list`)"
    )
    for each in (new, listed, revoke):
        add_config(each)
        add_json(each)


async def run(app: App, given: Namespace) -> int:
    """Run the chosen action."""
    if given.name is not None:
        _check_name(app, given.name, must_be_configured=given.action == "new")
    await {"new": _create, "list": _list, "revoke": _revoke}[given.action](app, given)
    return DONE


def _check_name(app: App, name: str, *, must_be_configured: bool) -> None:
    if name in OWNERS:
        raise BadInputError(f"token {name}: the name is reserved for the server's own user. Choose another.")
    if must_be_configured and name not in app.settings.configuration.clients:
        where = app.settings.path or "the configuration file (see --config)"
        raise BadInputError(f"token new {name}: there is no such client. Add the line [clients.{name}] to {where}.")


async def _create(app: App, given: Namespace) -> None:
    """Store the hash of a new token, and print the token."""
    token = secrets.token_urlsafe(_RANDOM_BYTES)
    sha256 = hashlib.sha256(token.encode()).hexdigest()
    if not await app.ledger.tokens.insert(given.name, sha256, time.time()):
        raise BadInputError(
            f"token new {given.name}: it has two valid tokens. Revoke one: `token list {given.name}` shows their ids, "
            f"`token revoke {given.name} --id ID` revokes one."
        )
    if given.json:
        print(to_compact_json({"client": given.name, "id": sha256[:_ID_CHARS], "token": token}))
        return
    print(token)
    print(
        f"Token {sha256[:_ID_CHARS]} of {given.name}. It is shown only now; the ledger keeps its SHA-256. It is valid "
        "at once if the server's configuration has the client.",
        file=sys.stderr,
    )


async def _list(app: App, given: Namespace) -> None:
    """Print the tokens of the ledger and of the configuration."""
    rows: list[_Row] = [
        {
            "client": row.client,
            "id": row.sha256[:_ID_CHARS],
            "made_at": _format_time(row.made_at),
            "state": "valid" if row.revoked_at is None else f"revoked {_format_time(row.revoked_at)}",
        }
        for row in await app.ledger.tokens.read_all()
    ]
    for row in rows:
        if row["state"] == "valid" and row["client"] not in app.settings.configuration.clients:
            row["state"] = "refused: the configuration has no such client"
    for name, client in app.settings.configuration.clients.items():
        if client.token_sha256 is not None:
            fixed = {"id": client.token_sha256[:_ID_CHARS], "state": "token_sha256 of the configuration"}
        elif client.token_env is not None:
            fixed = {"id": "-", "state": f"token_env {client.token_env}"}
        else:
            continue
        rows.append({"client": name, "id": fixed["id"], "made_at": "-", "state": fixed["state"]})
    rows = [row for row in rows if given.name in (None, row["client"])]
    if given.json:
        print(to_compact_json({"tokens": rows}))
    elif not rows:
        print("No tokens.")
    else:
        table = create_table("client", "id", "made (UTC)", "state")
        for row in rows:
            table.add_row(row["client"], row["id"], row["made_at"], row["state"])
        Console().print(table)


async def _revoke(app: App, given: Namespace) -> None:
    """Revoke the tokens, and print which."""
    if not set(given.id) <= _HEXADECIMAL:
        raise BadInputError(f"--id {given.id}: must be an id of `token list {given.name}`.")
    found = await app.ledger.tokens.revoke(given.name, given.id, time.time())
    client = app.settings.configuration.clients.get(given.name)
    fixed = client is not None and (client.token_env is not None or client.token_sha256 is not None)
    advice = " Its token in the configuration stays valid: remove it there, then send SIGHUP." if fixed else ""
    if not found:
        which = f"valid token {given.id}" if given.id else "valid token in the ledger"
        raise BadInputError(f"token revoke {given.name}: it has no {which}.{advice}")
    if given.json:
        print(to_compact_json({"client": given.name, "revoked": [sha256[:_ID_CHARS] for sha256 in found]}))
        return
    names = ", ".join(sha256[:_ID_CHARS] for sha256 in found)
    print(f"revoked {names} of {given.name}; servers refuse it within a second.{advice}")


def _format_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
