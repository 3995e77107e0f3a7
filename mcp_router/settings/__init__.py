"""What the user decided: the configuration file and the environment, read once and checked."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from platformdirs import user_config_path, user_data_path
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mcp_router.errors import ConfigError
from mcp_router.ledger.records import Budget

APP_NAME = "mcp-llm-router"

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
PerMinute = Annotated[int, Field(gt=0, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


T = TypeVar("T", bound=_Table)


class BudgetSettings(_Table):
    """`[budgets]`: absent is no limit, 0 is nothing at all."""

    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None
    per_call_usd: Usd | None = None
    """Tightens every tier's ceiling."""
    when_ledger_is_lost: Literal["closed", "open"] = "closed"
    """Whether calls go on while the ledger's database is out of reach."""


class ProviderSettings(_Table):
    """`[providers.NAME]`: one of ours pointed elsewhere, or a new one (which names its `wire`)."""

    base_url: str | None = None
    api_key_env: str | None = None
    enabled: bool | None = None
    rpm: PerMinute | None = None
    tpm: PerMinute | None = None
    timeout_s: Seconds | None = None
    wire: str | None = None
    models: tuple[dict[str, object], ...] = ()
    model_path: str | None = None
    allow_unlisted: bool = False
    """The user's word that models without a known price may run here."""
    search_fee_usd: Usd | None = None
    """What a web search costs this user, where a plan includes some."""


_NO_SETTINGS = ProviderSettings()


class ClientSettings(_Table):
    """`[clients.NAME]`: who may call over HTTP, and up to how much."""

    token_env: str | None = None
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    sees_all: bool = False
    """Whether this client may see what the others spend, say the one for whoever runs the server."""
    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None


Routing = dict[str, dict[str, list[str | dict[str, str]]]]
"""`[routes.USE_CASE]`: a cell's models, by tier."""


class Configuration(_Table):
    """The whole file."""

    baseline: str = "claude:claude-opus-5-5"
    database_url: str | None = None
    allowed_roots: tuple[str, ...] = ()
    deadline_s: Seconds = 120.0
    """How long one call may take, all its attempts together."""
    store_text: bool = False
    """Keep prompts and answers in the ledger, so that conversations survive a restart."""
    learn_from_outcomes: bool = True
    budgets: BudgetSettings = BudgetSettings()
    providers: dict[str, ProviderSettings] = Field(default_factory=dict[str, ProviderSettings])
    routes: Routing = Field(default_factory=Routing)
    clients: dict[str, ClientSettings] = Field(default_factory=dict[str, ClientSettings])


class RoutingTable(_Table):
    """A file with nothing but cells, say one to be tried before it is used."""

    routes: Annotated[Routing, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The configuration, where it came from, and the environment it was read with."""

    configuration: Configuration
    path: Path | None
    """The file it was read from; None where there is none."""
    environ: Mapping[str, str]
    working_folder: Path
    for_others: bool = False
    """Whether clients with tokens are served: the folder the server was started in is then not theirs to read."""

    @property
    def database_url(self) -> str:
        """The ledger's address."""
        from_environment = _read_variable(self.environ, "MCP_ROUTER_DATABASE_URL")
        return from_environment or self.configuration.database_url or f"sqlite:///{data_folder() / 'ledger.sqlite3'}"

    @property
    def unwritten_folder(self) -> Path:
        """Where attempts wait that the ledger's database did not take."""
        return data_folder() / "unwritten"

    @property
    def allowed_roots(self) -> tuple[Path, ...]:
        """Where files may be read and written: the folder the server was started in unless told otherwise."""
        roots = tuple(Path(root).expanduser() for root in self.configuration.allowed_roots)
        return roots or (() if self.for_others else (self.working_folder,))

    def limits(self) -> tuple[Budget, ...]:
        """Every budget there is, everybody's first."""
        budgets = self.configuration.budgets
        found = [
            Budget(name="daily", period="day", limit_usd=budgets.daily_usd) if budgets.daily_usd is not None else None,
            Budget(name="monthly", period="month", limit_usd=budgets.monthly_usd)
            if budgets.monthly_usd is not None
            else None,
        ]
        for name, client in self.configuration.clients.items():
            if client.daily_usd is not None:
                found.append(Budget(name=f"{name} daily", period="day", limit_usd=client.daily_usd, client=name))
            if client.monthly_usd is not None:
                found.append(Budget(name=f"{name} monthly", period="month", limit_usd=client.monthly_usd, client=name))
        return tuple(limit for limit in found if limit is not None)

    def provider(self, name: str) -> ProviderSettings:
        """What was said of one provider; all defaults where nothing was."""
        return self.configuration.providers.get(name, _NO_SETTINGS)

    def key(self, name: str, key_env: tuple[str, ...]) -> str | None:
        """The key for a provider, or None. A placeholder that nobody filled in is no key."""
        chosen = self.provider(name).api_key_env
        for variable in (chosen,) if chosen else key_env:
            value = _read_variable(self.environ, variable)
            if value and not value.startswith(("<", "YOUR_", "your-")):
                return value
        return None

    def base_url(self, name: str, variables: tuple[str, ...]) -> str | None:
        """Where the user points a provider, or None for the vendor's own address."""
        if (configured := self.provider(name).base_url) is not None:
            return configured
        for variable in (f"{name.upper()}_BASE_URL", *variables):
            if value := _read_variable(self.environ, variable):
                return value
        return None


def _read_variable(environ: Mapping[str, str], variable: str) -> str:
    """A variable's value, or nothing: clients hand on `${env:NAME}` as it is written where NAME is not set."""
    value = environ.get(variable, "").strip()
    return "" if value.startswith("${") else value


def data_folder() -> Path:
    """Where the ledger lives unless told otherwise."""
    return user_data_path(APP_NAME, appauthor=False)


def default_path() -> Path:
    """Where the configuration is looked for unless told otherwise."""
    return user_config_path(APP_NAME, appauthor=False) / "config.toml"


def load(config: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration: the file named, `MCP_ROUTER_CONFIG`, or the platform's.

    Raises:
        ConfigError: The file is missing though named, is no TOML, or says something it cannot say.
    """
    environment = dict(os.environ if environ is None else environ)
    named = config or _read_variable(environment, "MCP_ROUTER_CONFIG") or None
    path = Path(named).expanduser() if named else default_path()
    if named is None and not path.is_file():
        return Settings(configuration=Configuration(), path=None, environ=environment, working_folder=_working_folder())
    configuration = _validate(Configuration, _read_toml(path), path)
    return Settings(configuration=configuration, path=path, environ=environment, working_folder=_working_folder())


def load_routes(path: Path) -> Routing:
    """Read a routing table from a file of its own, which holds what `[routes.*]` may hold in the configuration.

    Raises:
        ConfigError: The file is missing, is no TOML, or says something it cannot say.
    """
    return _validate(RoutingTable, _read_toml(path), path).routes


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path.home()


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError(f"{path}: there is no such file. Create it, or name another.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: it cannot be read ({exc}).") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path}: it is not valid TOML: {exc}.") from exc


def _validate(kind: type[T], table: dict[str, object], path: Path) -> T:
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as exc:
        lines = [_format_error(kind, dict(error), path) for error in exc.errors(include_url=False, include_input=False)]
        raise ConfigError("\n".join(lines)) from exc


def _format_error(kind: type[_Table], error: dict[str, object], path: Path) -> str:
    location = tuple(str(part) for part in _sequence(error["loc"]))
    where = f"{path}: {'.'.join(location)}"
    if error["type"] == "extra_forbidden":
        return f"{where}: there is no such key. The keys here are: {', '.join(_keys_at(kind, location[:-1]))}."
    return f"{where}: {str(error['msg']).lower()}."


def _sequence(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, tuple | list) else ()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- pydantic's `loc` is an untyped tuple


def _keys_at(kind: type[_Table], location: tuple[str, ...]) -> tuple[str, ...]:
    tables: dict[str, type[BaseModel]] = {
        "budgets": BudgetSettings,
        "providers": ProviderSettings,
        "clients": ClientSettings,
    }
    table = tables.get(location[0], kind) if location else kind
    return tuple(table.model_fields)
