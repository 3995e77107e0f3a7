"""What inferred plans cost beside always asking the baseline, with the shipped routes and every provider available."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.classify import classify, to_conversation
from mcp_router.routing.access import Access
from mcp_router.routing.baseline import Baseline
from mcp_router.routing.candidates import EMBEDDED
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.order import estimate_tokens
from mcp_router.routing.plan import Plan, plan
from mcp_router.routing.request import RoutingState
from mcp_router.routing.routes import TIERS, load_shipped

Json = dict[str, object]

_MAX_PROMPTS = 60
"""So many prompts of each source are planned."""


@dataclass(kw_only=True, slots=True)
class _Tally:
    prompts: int = 0
    without_plan: int = 0
    cost_usd: Decimal = Decimal(0)
    baseline_usd: Decimal = Decimal(0)
    tiers: Counter[str] = field(default_factory=Counter[str])


def compare_costs(prompts: Iterable[tuple[str, str]], *, baseline: str) -> Json:
    """Return, by source, what the first candidates of the plans cost and what the baseline costs for the same tokens.

    `prompts` are pairs of source and prompt, `baseline` a model as `provider:name`.

    Raises:
        UnknownNameError: The baseline does not exist.
    """
    catalog = Catalog.with_shipped()
    model = catalog.model(baseline)
    beside = Baseline(provider=catalog.provider(model.provider), model=model)
    state = RoutingState(
        catalog=catalog,
        routes=load_shipped(),
        now=datetime.now(UTC),
        access={name: _access(catalog, name) for name in catalog.providers},
        baseline=beside,
    )
    tallies: dict[str, _Tally] = {}
    for source, prompt in prompts:
        for name in (source, "all"):
            tally = tallies.setdefault(name, _Tally())
            if name == "all" or tally.prompts < _MAX_PROMPTS:
                _add(tally, _plan(prompt, state), beside, state.now)
    return {name: _describe(tallies[name]) for name in sorted(tallies, key=lambda name: (name == "all", name))}


def _access(catalog: Catalog, name: str) -> Access:
    provider = catalog.providers[name]
    is_sold = name != EMBEDDED and not provider.servers and provider.retired is None
    return Access(reason=None if is_sold else "left out of the comparison", configured=is_sold)


def _plan(prompt: str, state: RoutingState) -> Plan:
    arguments = RouteArguments(prompt=prompt)
    return plan(classify(arguments, to_conversation(arguments), state.routes, providers=state.catalog.providers), state)


def _add(tally: _Tally, made: Plan, baseline: Baseline, now: datetime) -> None:
    tally.prompts += 1
    if not made.candidates:
        tally.without_plan += 1
        return
    first = made.candidates[0]
    tally.tiers[made.task.budget_tier] += 1
    tally.cost_usd += first.fit.estimated_usd or Decimal(0)
    tally.baseline_usd += baseline.cost_usd(estimate_tokens(first, made.task), now) or Decimal(0)


def _describe(tally: _Tally) -> Json:
    share = tally.cost_usd / tally.baseline_usd if tally.baseline_usd else Decimal(0)
    return {
        "prompts": tally.prompts,
        "without_plan": tally.without_plan,
        "cost_usd": float(round(tally.cost_usd, 6)),
        "baseline_usd": float(round(tally.baseline_usd, 6)),
        "share": float(round(share, 3)),
        **{tier: tally.tiers[tier] for tier in _used(TIERS, tally)},
    }


def _used(tiers: Sequence[str], tally: _Tally) -> list[str]:
    return [tier for tier in tiers if tally.tiers[tier]]
