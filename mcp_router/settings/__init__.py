"""The configuration file and the environment, read once and validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path, user_data_path

from mcp_router.errors import ConfigError
from mcp_router.ledger.origin import find_folder_name
from mcp_router.ledger.records import Budget
from mcp_router.settings.config_file import ConfigFile, read_config_file, validate_file
from mcp_router.settings.key_file import read_key_file
from mcp_router.settings.placeholders import find_key_problem, is_unexpanded
from mcp_router.settings.projects import name_key
from mcp_router.settings.start_folder import find_start_folder, is_project_folder
from mcp_router.settings.tables import (
    BudgetSettings,
    CheckSettings,
    ClientSettings,
    Configuration,
    ProjectSettings,
    ProviderSettings,
    Routing,
    RoutingTable,
    list_keys,
)

__all__ = [
    "APP_NAME",
    "BudgetSettings",
    "CheckSettings",
    "ClientSettings",
    "Configuration",
    "ProjectSettings",
    "ProviderSettings",
    "Routing",
    "RoutingTable",
    "Settings",
    "data_folder",
    "default_path",
    "load",
    "load_routes",
    "reload",
]

APP_NAME = "mcp-llm-router"

_DEFAULTS = ProviderSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The configuration, its file, and the environment it was read with."""

    configuration: Configuration
    file: ConfigFile | None
    """None if there is no configuration file."""
    environ: Mapping[str, str]
    base_environ: Mapping[str, str] = field(default_factory=dict[str, str])
    """The environment without the key file's variables."""
    working_folder: Path
    """The folder that relative paths start from."""
    over_http: bool = False
    """Whether calls arrive over HTTP: then only clients that the configuration allows can name a check."""
    for_others: bool = False
    """Whether clients with tokens are served: they cannot read the folder the server was started in."""

    @property
    def path(self) -> Path | None:
        """The configuration file, or None if there is none."""
        return self.file.path if self.file is not None else None

    def locate(self, *keys: str) -> str:
        """Return where a key is, for the beginning of an error: `config.toml, line 3: budgets.daily_usd`."""
        return self.file.locate(*keys) if self.file is not None else ".".join(keys)

    @property
    def key_file(self) -> Path | None:
        """The file that keys are read from, or None."""
        name = self.configuration.key_file
        return None if name is None or self.path is None else self.path.parent / Path(name).expanduser()

    @property
    def database_url(self) -> str:
        """The ledger's address."""
        from_environment = _read_variable(self.environ, "MCP_ROUTER_DATABASE_URL")
        return from_environment or self.configuration.database_url or f"sqlite:///{data_folder() / 'ledger.sqlite3'}"

    @property
    def unwritten_folder(self) -> Path:
        """The folder of the spool."""
        return data_folder() / "unwritten"

    @property
    def allowed_roots(self) -> tuple[Path, ...]:
        """The folders in which files can be read and written; by default the project's, if there is one."""
        roots = tuple(Path(root).expanduser() for root in self.configuration.allowed_roots)
        return roots or (() if self.no_roots_reason is not None else (self._start_folder,))

    @property
    def no_roots_reason(self) -> str | None:
        """Why no folder is allowed, or None if one is."""
        if self.configuration.allowed_roots:
            return None
        if self.for_others:
            return "no folder is allowed while clients with tokens are served"
        if is_project_folder(self._start_folder, self.environ):
            return None
        return f"no folder is allowed, because the server was started in {self._start_folder}, which is not a project"

    @property
    def _start_folder(self) -> Path:
        return find_start_folder(self.environ, self.working_folder)

    def limits(self) -> tuple[Budget, ...]:
        """Return every budget, those of all callers first."""
        found = _list_budgets("", None, self.configuration.budgets)
        for name, client in self.configuration.clients.items():
            found += _list_budgets(f"{name} ", name, client)
        projects = {name_key(key): project for key, project in self.configuration.projects.items()}
        names = [find_folder_name(project) for project in projects]
        for project, limits in projects.items():
            name = find_folder_name(project)
            shown = name if names.count(name) == 1 else project
            found += _list_budgets(f"project {shown} ", None, limits, project=project)
        return tuple(found)

    def provider(self, name: str) -> ProviderSettings:
        """Return the settings of a provider; defaults if it has none."""
        return self.configuration.providers.get(name, _DEFAULTS)

    def key(self, name: str, key_env: tuple[str, ...]) -> str | None:
        """Return the key for a provider, or None. A placeholder is not a key."""
        values = (self.environ.get(variable, "").strip() for variable in self._list_key_variables(name, key_env))
        return next((value for value in values if value and find_key_problem(value) is None), None)

    def find_key_problem(self, name: str, key_env: tuple[str, ...]) -> str | None:
        """Return which variable holds a placeholder instead of a provider's key, or None."""
        for variable in self._list_key_variables(name, key_env):
            reason = find_key_problem(self.environ.get(variable, ""))
            if reason is not None:
                return f"{variable} {reason}"
        return None

    def _list_key_variables(self, name: str, key_env: tuple[str, ...]) -> tuple[str, ...]:
        chosen = self.provider(name).api_key_env
        return (chosen,) if chosen else key_env

    def base_url(self, name: str, variables: tuple[str, ...]) -> str | None:
        """Return the address that the user set for a provider, or None for the vendor's own."""
        if (configured := self.provider(name).base_url) is not None:
            return configured
        for variable in (f"{name.upper()}_BASE_URL", *variables):
            if value := _read_variable(self.environ, variable):
                return value
        return None


def _list_budgets(
    prefix: str,
    client: str | None,
    limits: BudgetSettings | ClientSettings | ProjectSettings,
    *,
    project: str | None = None,
) -> list[Budget]:
    periods: tuple[tuple[str, Literal["day", "month"], Decimal | None], ...] = (
        ("daily", "day", limits.daily_usd),
        ("monthly", "month", limits.monthly_usd),
    )
    return [
        Budget(name=f"{prefix}{name}", period=period, limit_usd=limit, client=client, project=project)
        for name, period, limit in periods
        if limit is not None
    ]


def _read_variable(environ: Mapping[str, str], variable: str) -> str:
    """Return a variable's value, or nothing if it is a placeholder: hosts pass `${env:NAME}` on if NAME is not set."""
    value = environ.get(variable, "").strip()
    return "" if is_unexpanded(value) else value


def data_folder() -> Path:
    """Return the default folder of the ledger."""
    return user_data_path(APP_NAME, appauthor=False)


def default_path() -> Path:
    """Return the default path of the configuration file."""
    return user_config_path(APP_NAME, appauthor=False) / "config.toml"


def load(config: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration: the file named, `MCP_ROUTER_CONFIG`, or the platform's.

    Raises:
        ConfigError: The file is named but missing, is not TOML, or has a wrong key or value.
    """
    environment = dict(os.environ if environ is None else environ)
    named = config or _read_variable(environment, "MCP_ROUTER_CONFIG") or None
    path = Path(named).expanduser() if named else default_path()
    configuration, file = Configuration(), None
    if named is not None or path.is_file():
        file = read_config_file(path)
        configuration = validate_file(Configuration, file, partial(list_keys, Configuration))
    return Settings(
        configuration=configuration,
        file=file,
        environ=environment | _read_keys(configuration, file),
        base_environ=environment,
        working_folder=_find_working_folder(environment),
    )


def reload(settings: Settings) -> Settings:
    """Read the same configuration file again, and its key file, with the same environment.

    Raises:
        ConfigError: As `load`; or a key has changed that takes a restart.
    """
    now = load(settings.path, settings.base_environ)
    for key in ("database_url", "store_text"):
        if getattr(now.configuration, key) != getattr(settings.configuration, key):
            raise ConfigError(f"{now.locate(key)}: changes with a restart only. Restart the server.")
    return now


def _read_keys(configuration: Configuration, file: ConfigFile | None) -> dict[str, str]:
    if configuration.key_file is None or file is None:
        return {}
    return read_key_file(file.path.parent / Path(configuration.key_file).expanduser(), file.locate("key_file"))


def load_routes(path: Path) -> Routing:
    """Read a routing table from a file of its own, with the `[routes.*]` tables of the configuration.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong key or value.
    """
    return validate_file(RoutingTable, read_config_file(path), partial(list_keys, RoutingTable)).routes


def _find_working_folder(environ: Mapping[str, str]) -> Path:
    """Return the working folder, or the project's if a host started the server elsewhere."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        folder = Path.home()
    project = find_start_folder(environ, folder)
    return folder if folder.resolve().is_relative_to(project.resolve()) else project
