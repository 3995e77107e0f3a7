"""The routing table: use case and tier to models, as shipped and as the user changed it."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar, get_args

from mcp_router.errors import ConfigError, UnknownNameError
from mcp_router.routing.catalog import Catalog
from providers.catalog import EFFORTS
from providers.completion import Effort
from providers.toml_table import RowError, Table

UseCase = Literal[
    "classification",
    "code_generation",
    "conversation",
    "summarization",
    "analysis",
    "long_context",
    "web_research",
    "expert_tasks",
]
Tier = Literal["ultra_economy", "economy", "standard", "premium", "enterprise"]
Complexity = Literal["simple", "medium", "complex"]

USE_CASES: tuple[UseCase, ...] = get_args(UseCase)
TIERS: tuple[Tier, ...] = get_args(Tier)
"""Cheapest first."""
COMPLEXITIES: tuple[Complexity, ...] = get_args(Complexity)

SHIPPED = "routes.toml"

T = TypeVar("T", bound=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class TypicalUsage:
    """A typical request of a use case: what estimates are made with before the prompt is known."""

    input_tokens: int
    output_tokens: int
    hidden_tokens: int
    """What a model that thinks is assumed to spend on it."""
    searches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class UseCaseRow:
    """What a use case is about, and its default tier."""

    name: UseCase
    about: str
    default_tier: Tier
    typical_usage: TypicalUsage


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteEntry:
    """One candidate of a cell."""

    model: str
    """`provider:name`, or a provider alone: its best fit."""
    thinking: Effort = "off"
    """How much it may think here, if that can be set."""
    note: str = ""
    """Under which condition it fits the tier."""

    @property
    def provider(self) -> str:
        """The part before the colon."""
        return self.model.partition(":")[0]

    @property
    def name(self) -> str | None:
        """The part behind the colon; None for a provider alone."""
        return self.model.partition(":")[2] or None


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """The candidates of one use case in one tier, in the order they are tried."""

    entries: tuple[RouteEntry, ...]
    origin: str
    """The file that says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingTable:
    """The whole table."""

    ceilings: Mapping[Tier, Decimal]
    """The most one call may cost in a tier, in US dollars, all its attempts together."""
    use_cases: Mapping[UseCase, UseCaseRow]
    routes: Mapping[tuple[UseCase, Tier], Route]

    def route(self, use_case: UseCase, tier: Tier) -> tuple[RouteEntry, ...]:
        """Return the entries of a route, in order."""
        return self.routes[use_case, tier].entries

    def is_shipped(self, use_case: UseCase, tier: Tier) -> bool:
        """Return whether a route is the shipped one, not one of the user's configuration."""
        return self.routes[use_case, tier].origin == SHIPPED

    def merge(
        self, overrides: Mapping[str, Mapping[str, Sequence[str | Mapping[str, str]]]], *, file: str = "config.toml"
    ) -> RoutingTable:
        """Return the table with the routes that `overrides` names replaced.

        Raises:
            ConfigError: A use case, a tier or a key is unknown.
        """
        return replace(self, routes={**self.routes, **_cells(overrides, file)}) if overrides else self

    def check(self, catalog: Catalog, *, unlisted: Collection[str] = ()) -> None:
        """Refuse cells that name what there is not. Providers in `unlisted` may serve models we do not know;
        so may one that has a price for everything.

        Raises:
            ConfigError: The text names file, key, and the names there are.
        """
        for (use_case, tier), cell in self.routes.items():
            for number, entry in enumerate(cell.entries):
                try:
                    provider = catalog.provider(entry.provider)
                    if entry.name is not None and provider.price is None and provider.name not in unlisted:
                        catalog.model(entry.model)
                except UnknownNameError as exc:
                    raise ConfigError(f"{cell.origin}: routes.{use_case}.{tier}[{number}]: {exc}") from exc


@cache
def load_shipped() -> RoutingTable:
    """Load the shipped table."""
    text = (files("mcp_router.routing") / SHIPPED).read_text("utf-8")
    tables = tomllib.loads(text, parse_float=Decimal)
    return RoutingTable(
        ceilings={tier: Decimal(str(tables["tiers"][tier]["ceiling_usd"])) for tier in TIERS},
        use_cases={name: _use_case(name, Table(SHIPPED, tables["use_cases"][name])) for name in USE_CASES},
        routes=_cells(tables["routes"], SHIPPED),
    )


def _use_case(name: UseCase, row: Table) -> UseCaseRow:
    reference = row.table("reference") or Table("reference", {})
    return UseCaseRow(
        name=name,
        about=row.text("about"),
        default_tier=row.word("default_tier", TIERS),
        typical_usage=TypicalUsage(
            input_tokens=reference.count("input_tokens") or 0,
            output_tokens=reference.count("output_tokens") or 0,
            hidden_tokens=reference.count("hidden_tokens") or 0,
            searches=reference.count("searches") or 0,
        ),
    )


def _cells(
    tables: Mapping[str, Mapping[str, Sequence[str | Mapping[str, str]]]], file: str
) -> dict[tuple[UseCase, Tier], Route]:
    found: dict[tuple[UseCase, Tier], Route] = {}
    for use_case_name, tiers in tables.items():
        use_case: UseCase = _known("use case", use_case_name, USE_CASES, f"{file}: routes")
        for tier_name, listed in tiers.items():
            tier: Tier = _known("budget tier", tier_name, TIERS, f"{file}: routes.{use_case}")
            where = f"routes.{use_case}.{tier}"
            if not listed:
                raise ConfigError(f"{file}: {where}: it is empty. Name at least one model, or leave the key out.")
            entries = tuple(_entry(f"{where}[{number}]", entry, file) for number, entry in enumerate(listed))
            found[use_case, tier] = Route(entries=entries, origin=file)
    return found


def _known(what: str, name: str, known: tuple[T, ...], where: str) -> T:
    for one in known:
        if one == name:
            return one
    raise ConfigError(f"{where}: {UnknownNameError(what, name, [str(one) for one in known])}")


def _entry(where: str, listed: str | Mapping[str, str], file: str) -> RouteEntry:
    try:
        row = Table(where, {"model": listed} if isinstance(listed, str) else listed)
        entry = RouteEntry(
            model=row.text("model"), thinking=row.word("thinking", EFFORTS, "off"), note=row.text("note", "")
        )
        row.reject_unknown_keys()
    except RowError as exc:
        raise ConfigError(f"{file}: {exc}") from exc
    return entry
