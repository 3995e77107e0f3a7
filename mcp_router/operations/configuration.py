"""The configuration as it stands: path, settings without secrets, checks, and the JSON Schema of its file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import cast

from mcp_router.routing import routes as tables
from mcp_router.routing.access import AccessRules
from mcp_router.routing.catalog import Catalog, read_user_providers
from mcp_router.settings import Configuration, Settings, default_path
from mcp_router.text import hide_password
from providers.registry import load_providers

Json = dict[str, object]

_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_HIDDEN = ("token_sha256", "key", "secret", "password", "token")
"""Ends of names whose values are not shown."""


def locate(config: str | None) -> str:
    """Return the path of the configuration file, whether or not it exists."""
    named = config or os.environ.get("MCP_ROUTER_CONFIG", "").strip()
    return os.path.abspath(os.path.expanduser(named)) if named else str(default_path())  # noqa: PTH100, PTH111 - the path as it is written, links not followed


def build_schema() -> Json:
    """Return the JSON Schema of the configuration file."""
    schema = Configuration.model_json_schema()
    return {"$schema": _SCHEMA, **schema, "title": "Configuration of mcp-llm-router"}


def check(settings: Settings) -> None:
    """Check what reading the file leaves: providers, routes and the baseline.

    Raises:
        ConfigError: A name or value is wrong; the text names the file and the key.
    """
    catalog = Catalog.with_shipped(read_user_providers(settings))
    unlisted = AccessRules(settings=settings, catalog=catalog).list_unpriced()
    routes = tables.load_shipped().merge(settings.configuration.routes, file=str(settings.path or "config.toml"))
    routes.check(catalog, unlisted=unlisted)
    catalog.model(settings.configuration.baseline)


def describe(settings: Settings) -> Json:
    """Return every setting by its dotted key, defaults included, and the variables that hold keys; no value of one."""
    shown: Json = {}
    _flatten("", cast("Json", settings.configuration.model_dump(mode="json")), shown)
    shown["database_url"] = hide_password(settings.database_url)
    shown["allowed_roots"] = [str(root) for root in settings.allowed_roots]
    shown["keys_found"] = sorted(
        name for provider in load_providers() for name in provider.key_env if settings.key(provider.name, (name,))
    )
    return shown


def _flatten(prefix: str, table: Mapping[str, object], shown: Json) -> None:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            _flatten(f"{key}.", cast("Json", value), shown)
        elif value is not None:
            shown[key] = "(hidden)" if name.lower().endswith(_HIDDEN) else _hide(value)


def _hide(value: object) -> object:
    match value:
        case str():
            return hide_password(value)
        case list():
            return [_hide(each) for each in cast("list[object]", value)]
        case dict():
            hidden: Json = {}
            _flatten("", cast("Json", value), hidden)
            return hidden
        case _:
            return value
