"""Data policies: which providers a call can reach, by dated facts about what they do with prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_router.settings.projects import name_key
from mcp_router.settings.tables import Configuration, PolicySettings
from providers.catalog import DataFacts

LOCAL = "local"
"""Region and jurisdiction of a model on this machine: every policy admits it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a provider must be known to do. An unknown fact excludes it."""

    no_training: bool = False
    """The provider does not train on prompts."""
    regions: frozenset[str] | None = None
    """Every region in which it processes prompts must be one of these; None: any."""
    jurisdictions: frozenset[str] | None = None
    """Its owner's jurisdiction must be one of these; None: any."""
    max_retention_days: int | None = None
    """It keeps prompts at most this long; None: any time."""

    def join(self, other: Policy) -> Policy:
        """Return the policy that demands what both demand."""
        days = [one for one in (self.max_retention_days, other.max_retention_days) if one is not None]
        return Policy(
            no_training=self.no_training or other.no_training,
            regions=_intersect(self.regions, other.regions),
            jurisdictions=_intersect(self.jurisdictions, other.jurisdictions),
            max_retention_days=min(days, default=None),
        )

    def find_violation(self, facts: DataFacts) -> str | None:
        """Return which demand a provider is not known to meet; None if it meets all."""
        if self.no_training and facts.trains_on_input != "no":
            if facts.trains_on_input == "yes":
                return "policy.no_training: it trains on prompts"
            return f"policy.no_training: {_unknown('whether it trains on prompts')}"
        if self.max_retention_days is not None:
            if facts.retention_days is None:
                return f"policy.max_retention_days: {_unknown('how long it keeps prompts')}"
            if facts.retention_days > self.max_retention_days:
                return f"policy.max_retention_days: it keeps prompts for {facts.retention_days} days"
        return _find_place_violation("regions", self.regions, facts.regions) or _find_place_violation(
            "jurisdictions", self.jurisdictions, (facts.jurisdiction,) if facts.jurisdiction else ()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """The policies of the configuration: of all calls, of clients and of projects."""

    everyone: Policy = Policy()
    clients: Mapping[str, Policy] = field(default_factory=dict[str, Policy])
    projects: Mapping[str, Policy] = field(default_factory=dict[str, Policy])

    def find(self, client: str, project: str) -> Policy:
        """Return the policy for a call: all that hold, joined."""
        mine = self.everyone.join(self.clients.get(client, Policy()))
        return mine.join(self.projects.get(project, Policy()))


def read_policies(configuration: Configuration) -> Policies:
    """Return the policies of a configuration."""
    return Policies(
        everyone=_to_policy(configuration.policy),
        clients={name: _to_policy(client.policy) for name, client in configuration.clients.items()},
        projects={name_key(key): _to_policy(project.policy) for key, project in configuration.projects.items()},
    )


def _to_policy(said: PolicySettings) -> Policy:
    return Policy(
        no_training=said.no_training,
        regions=None if said.regions is None else frozenset(said.regions),
        jurisdictions=None if said.jurisdictions is None else frozenset(said.jurisdictions),
        max_retention_days=said.max_retention_days,
    )


def _intersect(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _find_place_violation(key: str, allowed: frozenset[str] | None, known: tuple[str, ...]) -> str | None:
    if allowed is None:
        return None
    if not known:
        return (
            f"policy.{key}: {_unknown('where it processes prompts' if key == 'regions' else 'whose law it is under')}"
        )
    outside = [place for place in known if place != LOCAL and place not in allowed]
    return f"policy.{key}: {', '.join(outside)} is not allowed" if outside else None


def _unknown(what: str) -> str:
    return f"{what} is unknown"
