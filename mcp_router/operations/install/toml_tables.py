"""Changes of one server's table in a TOML file that keep the rest as written."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping

import tomlkit
from tomlkit.container import OutOfOrderTableProxy
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, InlineTable


class TomlError(ValueError):
    """Text that is not TOML, or has another kind of value in place of the table."""


def parse_toml(text: str) -> dict[str, object]:
    """Parse a file into plain values.

    Raises:
        TomlError: The text is not TOML.
    """
    return _parse(text).unwrap()


def set_entry(text: str, table: str, name: str, entry: Mapping[str, object]) -> str:
    """Return the text with these keys in `[table.name]`; its other keys stay.

    Raises:
        TomlError: The text is not TOML, a key on the way is not a table, or the file has a form that cannot be
            extended; the message then holds the lines to add by hand.
    """
    document = _parse(text)
    wanted = document.unwrap()
    merged = _merge(document, table, name, entry)
    servers = wanted.get(table, {})
    wanted[table] = {**servers, name: {**servers.get(name, {}), **entry}}
    block = tomlkit.dumps({table: {name: dict(entry)}})
    for written in (merged, f"{text.rstrip()}\n\n{block}"):
        if _parses_to(written, wanted):
            return written
    raise TomlError(f"{table} has a form that cannot be extended. Add this by hand:\n{block}")


def remove_entry(text: str, table: str, name: str) -> str:
    """Return the text without `[table.name]`.

    Raises:
        TomlError: The text is not TOML, or the entry has a form that cannot be removed.
    """
    document = _parse(text)
    wanted = document.unwrap()
    if name not in wanted.get(table, {}):
        return text
    servers = _get_table(document, table)
    del servers[name], wanted[table][name]
    if not servers:
        del document[table], wanted[table]
    written = tomlkit.dumps(document)
    if not _parses_to(written, wanted):
        raise TomlError(f"{table}.{name} has a form that cannot be removed automatically. Remove it by hand")
    return written


def _merge(document: tomlkit.TOMLDocument, table: str, name: str, entry: Mapping[str, object]) -> str:
    if table not in document:
        document[table] = tomlkit.table(is_super_table=True)
    servers = _get_table(document, table)
    if name not in servers:
        servers[name] = tomlkit.inline_table() if isinstance(servers, InlineTable) else tomlkit.table()
    server = _get_table(servers, name)
    for key, value in entry.items():
        server[key] = value
    return tomlkit.dumps(document)


def _parses_to(text: str, wanted: Mapping[str, object]) -> bool:
    """Return whether `tomllib` reads what was meant: a misplaced table swallows its neighbours."""
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _parse(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as exc:
        raise TomlError(str(exc)) from exc


def _get_table(container: Mapping[str, object], key: str) -> MutableMapping[str, object]:
    found = container[key]
    if not isinstance(found, AbstractTable | OutOfOrderTableProxy):
        raise TomlError(f"{key} is not a table")
    return found
