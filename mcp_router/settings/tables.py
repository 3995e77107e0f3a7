"""The tables of the configuration file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
PerMinute = Annotated[int, Field(gt=0, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class Table(BaseModel):
    """A table that takes no other keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BudgetSettings(Table):
    """`[budgets]`: no limit if absent, nothing can be spent if 0."""

    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None
    per_call_usd: Usd | None = None
    """Tightens every tier's ceiling."""
    when_ledger_is_lost: Literal["closed", "open"] = "closed"
    """Whether calls continue while the ledger's database is unreachable."""


class PolicySettings(Table):
    """`[policy]`: what providers must be known to do with prompts; an unknown fact excludes a provider."""

    no_training: bool = False
    regions: tuple[str, ...] | None = None
    jurisdictions: tuple[str, ...] | None = None
    max_retention_days: Annotated[int, Field(ge=0, le=36_500)] | None = None


class DataSettings(Table):
    """`[providers.NAME.data]`: what this user's contract with a provider says; it replaces the shipped facts."""

    trains_on_input: Literal["yes", "no", "unknown"] = "unknown"
    retention_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    regions: tuple[str, ...] = ()
    jurisdiction: str = ""
    checked: date
    source: Annotated[str, Field(min_length=1)]


class ProviderSettings(Table):
    """`[providers.NAME]`: changes to a shipped provider, or a new one with its `wire`."""

    base_url: str | None = None
    api_key_env: str | None = None
    enabled: bool | None = None
    rpm: PerMinute | None = None
    tpm: PerMinute | None = None
    timeout_s: Seconds | None = None
    wire: str | None = None
    models: tuple[dict[str, object], ...] = ()
    features: tuple[str, ...] = ()
    """Features of its models that have none of their own, such as json_schema for a local server."""
    model_path: str | None = None
    allow_unlisted: bool = False
    """Whether models without a known price can run here."""
    data: DataSettings | None = None
    search_fee_usd: Usd | None = None
    """Price of a web search for this user, if a subscription includes some."""


class ClientSettings(Table):
    """`[clients.NAME]`: a client that can call over HTTP, and its budgets."""

    token_env: str | None = None
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    checks: bool = False
    """Whether this client can name a check, which runs a command as the server's user."""
    sees_all: bool = False
    """Whether this client can see what the others spend, for example the operator's."""
    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None
    rpm: PerMinute | None = None
    """Calls a minute."""
    tpm: PerMinute | None = None
    """Tokens a minute, of all its attempts."""
    models: tuple[str, ...] | None = None
    """Models it can use: `provider`, `provider:model`, with * and ?; all if absent."""
    policy: PolicySettings = PolicySettings()
    project_header: bool = False
    """Whether its `X-Router-Project` header names the project of a call."""


class ProjectSettings(Table):
    """`[projects."FOLDER"]`: the budgets of a folder with everything in it, or of a name that a client sends."""

    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None
    policy: PolicySettings = PolicySettings()


class CheckSettings(Table):
    """`[checks.NAME]`: a command that proves an answer."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """Argument list, no shell. `{file}` stands for the answer's file."""
    timeout_s: Seconds = 60.0
    cwd: str | None = None
    """Where it runs; by default the allowed folder that holds the target."""
    env: tuple[str, ...] = ()
    """Variables that it gets besides PATH, HOME and the like."""
    in_place: bool = False
    """Whether the target itself gets the answer while the command runs, and its own content back afterwards."""
    network: bool = False
    """Whether it can use the network, where the platform can switch it off."""

    @model_validator(mode="after")
    def _require_file(self) -> Self:
        if not self.in_place and not any("{file}" in part for part in self.command):
            raise ValueError("command must name {file}, which stands for the answer's file, or set in_place = true")
        return self


class AlertSettings(Table):
    """`[alerts]`: one message when a part of a budget is spent."""

    at: tuple[Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)], ...] = ()
    """Parts of a budget, for example 0.8."""
    webhook_env: str | None = None
    """The variable that holds the webhook's URL, which is a secret."""
    format: Literal["all", "slack", "discord"] = "all"


Routing = dict[str, dict[str, list[str | dict[str, str]]]]
"""`[routes.USE_CASE]`: a route's models, by tier."""


class Configuration(Table):
    """The whole configuration file."""

    baseline: str = "claude:claude-opus-5-5"
    database_url: str | None = None
    key_file: str | None = None
    """A file of NAME=value lines, mode 600, that go before the environment's."""
    allowed_roots: tuple[str, ...] = ()
    allow_secrets_in: tuple[str, ...] = ()
    """Files that can be sent to a vendor although they hold secrets: patterns as in `.gitignore`, or whole paths."""
    allow_saving_to: tuple[str, ...] = ()
    """Places that answers can be saved to although they configure a machine, a host or a pipeline; same patterns."""
    deadline_s: Seconds = 120.0
    """The longest that one call can take, with all its attempts."""
    store_text: bool = False
    """Whether prompts and answers are kept in the ledger, so conversations survive a restart."""
    learn_from_outcomes: bool = True
    budgets: BudgetSettings = BudgetSettings()
    providers: dict[str, ProviderSettings] = Field(default_factory=dict[str, ProviderSettings])
    routes: Routing = Field(default_factory=Routing)
    clients: dict[str, ClientSettings] = Field(default_factory=dict[str, ClientSettings])
    checks: dict[str, CheckSettings] = Field(default_factory=dict[str, CheckSettings])
    policy: PolicySettings = PolicySettings()
    alerts: AlertSettings = AlertSettings()
    projects: dict[str, ProjectSettings] = Field(default_factory=dict[str, ProjectSettings])

    @field_validator("checks")
    @classmethod
    def _refuse_reserved_names(cls, checks: dict[str, CheckSettings]) -> dict[str, CheckSettings]:
        if "agree" in checks:
            raise ValueError("agree is reserved: it compares two models' answers. Give the check another name")
        return checks


class RoutingTable(Table):
    """A file of routes alone, for example to be tried before it is used."""

    routes: Annotated[Routing, Field(min_length=1)]


def list_keys(kind: type[Table], location: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that a file of a kind can have at a location."""
    tables: dict[str, type[BaseModel]] = {
        "budgets": BudgetSettings,
        "providers": ProviderSettings,
        "clients": ClientSettings,
        "checks": CheckSettings,
        "projects": ProjectSettings,
        "alerts": AlertSettings,
        "policy": PolicySettings,
    }
    inner: dict[str, type[BaseModel]] = {"policy": PolicySettings, "data": DataSettings}
    table = tables.get(location[0], kind) if location else kind
    table = inner.get(location[-1], table) if len(location) > 2 else table  # noqa: PLR2004 - [TABLE.NAME.policy]
    return tuple(table.model_fields)
