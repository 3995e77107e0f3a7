"""Whether a model can take a task within a ceiling, with how many tokens, and what that may cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from mcp_router.money import usd
from mcp_router.routing import tokens
from mcp_router.routing.prices import PriceSchedule, Quote, find_price_schedule
from mcp_router.routing.routes import TypicalUsage
from providers.catalog import Feature, Model, Provider
from providers.completion import Effort

_THINKING_MULTIPLES: dict[Effort, int] = {
    "off": 0,
    "minimal": 1,
    "low": 2,
    "medium": 3,
    "high": 5,
    "xhigh": 8,
    "max": 12,
}
"""How many times the reference request's hidden tokens an answer is given room for."""
MisfitKind = Literal["feature", "price", "ceiling", "window"]
_MIN_OUTPUT_TOKENS = 16
_SEARCH_LIMITS = (3, 1)
"""How often a model may search for one answer, most first: as often as the ceiling admits. Where the vendor
knows no limit one search is counted, since that is what an answer usually takes."""
_MAX_TOKENS_PER_SEARCH = 2_000
"""What the results of a search may add to the prompt."""
_MAX_ATTEMPT_DURATION = timedelta(minutes=2)
_NO_PRICE = (
    "its price is unknown, so no budget can be held: give it one under [providers.NAME] models, "
    "or say allow_unlisted = true there"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a task asks of a model."""

    input_tokens: int
    """Estimated by `tokens.count_prompt`."""
    typical_usage: TypicalUsage
    """What tasks of its use case usually come to."""
    max_output_tokens: int | None = None
    """What the caller set, visible tokens only."""
    features: frozenset[Feature] = frozenset()
    shared_prefix: bool = False
    """Whether the prompt's beginning is to be cached, which some vendors bill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How one model would be asked."""

    effort: Effort
    max_output_tokens: int
    """Visible and hidden together."""
    estimated_usd: Decimal | None
    """What it will probably cost; None where the price is unknown."""
    worst_usd: Decimal | None
    """The most it can cost."""
    searches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NoFit:
    """Why a model cannot take a task."""

    kind: MisfitKind
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One model of a plan."""

    model: Model
    provider: Provider
    fit: Fit
    why: str


def fit(
    provider: Provider,
    model: Model,
    *,
    effort: Effort,
    need: Requirements,
    ceiling_usd: Decimal,
    now: datetime,
    unpriced_ok: bool = False,
) -> Fit | NoFit:
    """Fit a task to a model under a ceiling in US dollars; `unpriced_ok` lets one through whose price nobody knows."""
    if missing := _find_missing_feature(provider, model, need):
        return NoFit(kind="feature", reason=missing)
    till = _Fitting(
        model=model,
        tariff=find_price_schedule(provider, model, now, now + _MAX_ATTEMPT_DURATION),
        effort=effort,
        need=need,
        ceiling_usd=ceiling_usd,
        unpriced_ok=unpriced_ok,
    )
    most, *fewer = _list_search_limits(provider, need)
    fitted = till.fit(most)
    for searches in fewer:
        if isinstance(fitted, NoFit):
            fitted = till.fit(searches)
    return fitted


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fitting:
    """One task at one model."""

    model: Model
    tariff: PriceSchedule | None
    """What the model asks for tokens from now until the longest attempt has ended; None at an unknown price."""
    effort: Effort
    need: Requirements
    ceiling_usd: Decimal
    unpriced_ok: bool

    def fit(self, searches: int) -> Fit | NoFit:
        """Fit the task with so many searches."""
        need, effort, ceiling_usd = self.need, self.effort, self.ceiling_usd
        hidden = need.typical_usage.hidden_tokens if effort != "off" else 0
        least = min(
            need.max_output_tokens or _MIN_OUTPUT_TOKENS * 64,
            max(_MIN_OUTPUT_TOKENS, need.typical_usage.output_tokens // 4),
        )
        least += hidden // 2
        room = _max_output(self.model, need, least)
        if isinstance(room, NoFit):
            return room
        held = self._quote(tokens.at_most(need.input_tokens) + searches * _MAX_TOKENS_PER_SEARCH, searches)
        if held is None:
            return (
                _fit_unpriced(need, effort, room, searches)
                if self.unpriced_ok
                else NoFit(kind="price", reason=_NO_PRICE)
            )
        most = held.max_output_tokens(ceiling_usd)
        if most < least:
            cost = usd(held.max_cost_usd(least))
            reason = f"over the ceiling: {least} output tokens may cost {cost} of {usd(ceiling_usd)}"
            return NoFit(kind="ceiling", reason=reason)
        wanted = _wanted_output(need, effort)
        if need.max_output_tokens is None:
            # Half the ceiling leaves the other half for a fallback after an attempt that was billed for nothing.
            wanted = min(
                wanted, max(held.max_output_tokens(ceiling_usd / 2), need.typical_usage.output_tokens + hidden)
            )
        output = min(wanted, most, room)
        likely = self._quote(need.input_tokens, min(1, searches))
        expected = min(output, (need.max_output_tokens or need.typical_usage.output_tokens) + hidden)
        return Fit(
            effort=effort,
            max_output_tokens=output,
            estimated_usd=None if likely is None else likely.max_cost_usd(expected),
            worst_usd=held.max_cost_usd(output),
            searches=searches,
        )

    def _quote(self, input_tokens: int, searches: int) -> Quote | None:
        if self.tariff is None:
            return None
        return self.tariff.quote(
            input_tokens, searches=searches, thinking=self.effort != "off", cache_writes=self.need.shared_prefix
        )


def _find_missing_feature(provider: Provider, model: Model, need: Requirements) -> str | None:
    for feature in sorted(need.features):
        if feature == "web_search":
            # The user's own server may well search by itself; nobody else does unasked.
            if provider.name != "local" and (provider.search is None or "web_search" not in model.features):
                return "cannot search the web here"
        elif feature == "json_schema":
            # Where JSON is all a model can be held to, or nothing is known of it, it is asked in words and checked.
            if model.features and not model.features & {"json_schema", "json_object"}:
                return "cannot be held to a JSON Schema"
        elif feature not in model.features:
            return f"does not take {'images' if feature == 'vision' else feature.upper()}"
    return None


def _list_search_limits(provider: Provider, need: Requirements) -> tuple[int, ...]:
    if "web_search" not in need.features or provider.search is None:
        return (0,)
    return _SEARCH_LIMITS if provider.search.bounded else (1,)


def _max_output(model: Model, need: Requirements, least: int) -> int | NoFit:
    """Say how many output tokens window and model leave."""
    room = model.max_output or 1_000_000
    if model.max_input is not None and need.input_tokens > model.max_input:
        reason = f"prompt too long: about {need.input_tokens} tokens, it takes {model.max_input}"
        return NoFit(kind="window", reason=reason)
    if model.context_window is not None:
        room = min(room, model.context_window - need.input_tokens)
        if room < least:
            return NoFit(
                kind="window",
                reason=f"window too small: about {need.input_tokens} tokens and {least} for the answer, "
                f"it has {model.context_window}",
            )
    return room


def _wanted_output(need: Requirements, effort: Effort) -> int:
    visible = need.max_output_tokens or max(256, min(8_192, 4 * need.typical_usage.output_tokens))
    return visible + need.typical_usage.hidden_tokens * _THINKING_MULTIPLES[effort]


def _fit_unpriced(need: Requirements, effort: Effort, room: int, searches: int) -> Fit:
    return Fit(
        effort=effort,
        max_output_tokens=min(_wanted_output(need, effort), room),
        estimated_usd=None,
        worst_usd=None,
        searches=searches,
    )
