"""Changes one server's table in a TOML file and keeps the rest as it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping

import tomlkit
from tomlkit.container import OutOfOrderTableProxy
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, InlineTable


class TomlError(ValueError):
    """Text that is no TOML, or whose table is none; says in which line where that is known."""


def parse_toml(text: str) -> dict[str, object]:
    """Read a file as plain values.

    Raises:
        TomlError: It is no TOML.
    """
    return _parse(text).unwrap()


def set_entry(text: str, table: str, name: str, entry: Mapping[str, object]) -> str:
    """Return the text with these keys in `[table.name]`; its other keys stay.

    Raises:
        TomlError: It is no TOML, a key on the way is no table, or the file is written in a way that cannot be
            added to; the text then holds the lines to add by hand.
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
    raise TomlError(f"{table} is written in a way that cannot be added to. Add this by hand:\n{block}")


def remove_entry(text: str, table: str, name: str) -> str:
    """Return the text without `[table.name]`.

    Raises:
        TomlError: It is no TOML, or the entry is written in a way that cannot be taken out.
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
        raise TomlError(f"{table}.{name} is written in a way that cannot be taken out: remove it by hand")
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
    """Whether another reader finds there what was meant: a table put in the wrong place takes its neighbours in."""
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
        raise TomlError(f"{key} is no table")
    return found
