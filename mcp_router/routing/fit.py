"""The fit of a request to a model: output tokens within the ceiling, and what they cost at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from mcp_router.money import format_usd
from mcp_router.routing import tokens
from mcp_router.routing.attachments import count_attachment_tokens
from mcp_router.routing.prices import PriceSchedule, Quote, find_price_schedule
from mcp_router.routing.routes import TypicalUsage
from providers.catalog import Feature, FlexTier, Model, Provider
from providers.completion import Attachment, Effort

_THINKING_MULTIPLES: dict[Effort, int] = {
    "off": 0,
    "minimal": 1,
    "low": 2,
    "medium": 3,
    "high": 5,
    "xhigh": 8,
    "max": 12,
}
"""Hidden tokens that an answer gets, as a multiple of the typical request's."""
MisfitKind = Literal["feature", "price", "ceiling", "window"]
_MIN_OUTPUT_TOKENS = 16
_SEARCH_LIMITS = (3, 1)
"""Searches that one answer can use, most first: the most that the ceiling admits.

One search is counted if the vendor knows no limit, since an answer usually takes one.
"""
_MAX_TOKENS_PER_SEARCH = 2_000
"""Tokens that the results of a search add to the prompt."""
_TOOL_INSTRUCTION_TOKENS = 350
_MAX_TOOL_INSTRUCTION_TOKENS = 1_000
"""Tokens that vendors add to a prompt with tools: Claude up to 804.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""
_MAX_ATTEMPT_DURATION = timedelta(minutes=2)
FLEX = "flex"
"""The vendors' word for their slower class at a lower price."""
FLEX_TIMEOUT = timedelta(minutes=15)
"""The longest that a call with patience for it takes."""
_NO_PRICE = (
    "its price is unknown, so no budget can be held: give it one under [providers.NAME] models, "
    "or say allow_unlisted = true there"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a request needs from a model."""

    input_tokens: int
    """Likely tokens of the texts; attachments count by model."""
    max_input_tokens: int | None = None
    """Most tokens of the texts; None if only `input_tokens` is known."""
    attachments: tuple[Attachment, ...] = ()
    typical_usage: TypicalUsage
    """What requests of its use case usually come to."""
    max_output_tokens: int | None = None
    """Visible tokens only, as the caller set it."""
    features: frozenset[Feature] = frozenset()
    tools: Literal["none", "offered", "forced"] = "none"
    """Whether the model can, or must, call the caller's tools."""
    shared_prefix: bool = False
    """Whether the prompt's beginning is to be cached, which some vendors bill."""

    def count_attachments(self, model: Model) -> int:
        """Return the most tokens of the attachments at a model."""
        return sum(count_attachment_tokens(item, model) for item in self.attachments)

    def count_max_input(self, model: Model) -> int:
        """Return the most input tokens that a model can bill."""
        texts = self.max_input_tokens
        texts = tokens.max_tokens_from_estimate(self.input_tokens) if texts is None else texts
        return texts + self.count_attachments(model)

    def add_texts(self, texts: Iterable[str]) -> Requirements:
        """Return the requirements of a prompt that has grown by some texts."""
        likely = self.input_tokens
        most = tokens.max_tokens_from_estimate(likely) if self.max_input_tokens is None else self.max_input_tokens
        for text in texts:
            likely += tokens.estimate_tokens(text)
            most += tokens.max_tokens(text)
        return replace(self, input_tokens=likely, max_input_tokens=most)

    def add_tools(self, definitions: Iterable[str], *, forced: bool) -> Requirements:
        """Return the requirements of a prompt that offers tools; `definitions` are their JSON."""
        grown = self.add_texts(definitions)
        most = (grown.max_input_tokens or 0) + _MAX_TOOL_INSTRUCTION_TOKENS
        likely = grown.input_tokens + _TOOL_INSTRUCTION_TOKENS
        return replace(grown, input_tokens=likely, max_input_tokens=most, tools="forced" if forced else "offered")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How a model would be used for a request."""

    effort: Effort
    input_tokens: int
    """Likely, attachments included."""
    max_input_tokens: int
    """The most that the vendor can bill for the prompt, search results included."""
    max_output_tokens: int
    """Visible and hidden together."""
    estimated_usd: Decimal | None
    """Likely cost; None if the price is unknown."""
    worst_usd: Decimal | None
    """Maximum cost; None if the price is unknown."""
    searches: int
    service_tier: str = ""
    """The processing class to ask for, `flex`; empty for the standard one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoFit:
    """Why a model cannot take a request."""

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
    flex: bool = False,
) -> Fit | NoFit:
    """Fit a request to a model under a ceiling in US dollars.

    `unpriced_ok` accepts an unknown price. `flex` asks for the flex class of a model that has it; its price is held
    only if the vendor refuses what it cannot serve in it.
    """
    tier = provider.flex if flex and provider.flex is not None and provider.flex.covers(model) else None
    if missing := _find_missing_feature(provider, model, need):
        return NoFit(kind="feature", reason=missing)
    if need.max_output_tokens is not None and need.max_output_tokens < provider.min_output_tokens:
        need = replace(need, max_output_tokens=provider.min_output_tokens)
    likely = need.input_tokens + need.count_attachments(model)
    fitting = _Fitting(
        model=model,
        schedule=_find_schedule(provider, model, now, tier, FLEX_TIMEOUT if flex else _MAX_ATTEMPT_DURATION),
        discount=Decimal(1) if tier is None or tier.refuses else tier.multiple,
        service_tier="" if tier is None else FLEX,
        effort=effort,
        need=need,
        likely_input=likely,
        max_input=max(likely, need.count_max_input(model)),
        ceiling_usd=ceiling_usd,
        unpriced_ok=unpriced_ok,
    )
    most, *fewer = _list_search_limits(provider, need)
    fitted = fitting.fit(most)
    for searches in fewer:
        if isinstance(fitted, NoFit):
            fitted = fitting.fit(searches)
    return fitted


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fitting:
    """One request at one model."""

    model: Model
    schedule: PriceSchedule | None
    """Prices from now until the longest attempt has ended; None if unknown."""
    effort: Effort
    need: Requirements
    likely_input: int
    max_input: int
    ceiling_usd: Decimal
    unpriced_ok: bool
    service_tier: str
    discount: Decimal
    """What the likely cost is multiplied by, if the price that is held is dearer than the one that is likely."""

    def fit(self, searches: int) -> Fit | NoFit:
        """Fit the request with this many searches."""
        need, ceiling_usd = self.need, self.ceiling_usd
        hidden = need.typical_usage.hidden_tokens if self.effort != "off" else 0
        least = _min_output(need) + hidden // 2
        room = self._max_output(least)
        if isinstance(room, NoFit):
            return room
        wanted = _wanted_output(need, self.effort)
        held = self._quote(self.max_input + searches * _MAX_TOKENS_PER_SEARCH, searches)
        if held is None:
            if self.unpriced_ok:
                return self._to_fit(min(wanted, room), searches)
            return NoFit(kind="price", reason=_NO_PRICE)
        most = held.max_output_tokens(ceiling_usd)
        if most < least:
            cost = format_usd(held.max_cost_usd(least))
            reason = f"over the ceiling: {least} output tokens may cost {cost} of {format_usd(ceiling_usd)}"
            return NoFit(kind="ceiling", reason=reason)
        if need.max_output_tokens is None:
            # Half the ceiling leaves the other half for a fallback after an attempt that was billed for nothing.
            half = held.max_output_tokens(ceiling_usd / 2)
            wanted = min(wanted, max(half, need.typical_usage.output_tokens + hidden))
        output = min(wanted, most, room)
        likely = self._quote(self.likely_input, min(1, searches))
        expected = min(output, (need.max_output_tokens or need.typical_usage.output_tokens) + hidden)
        return replace(
            self._to_fit(output, searches),
            estimated_usd=None if likely is None else likely.max_cost_usd(expected) * self.discount,
            worst_usd=held.max_cost_usd(output),
        )

    def _to_fit(self, output: int, searches: int) -> Fit:
        return Fit(
            effort=self.effort,
            input_tokens=self.likely_input,
            max_input_tokens=self.max_input + searches * _MAX_TOKENS_PER_SEARCH,
            max_output_tokens=output,
            estimated_usd=None,
            worst_usd=None,
            searches=searches,
            service_tier=self.service_tier,
        )

    def _quote(self, input_tokens: int, searches: int) -> Quote | None:
        if self.schedule is None:
            return None
        return self.schedule.quote(
            input_tokens, searches=searches, thinking=self.effort != "off", cache_writes=self.need.shared_prefix
        )

    def _max_output(self, least: int) -> int | NoFit:
        """Return the output tokens that window and model leave."""
        model, likely = self.model, self.likely_input
        room = model.max_output or 1_000_000
        if model.max_input is not None and likely > model.max_input:
            reason = f"prompt too long: about {likely} tokens, it takes {model.max_input}"
            return NoFit(kind="window", reason=reason)
        if model.context_window is not None:
            room = min(room, model.context_window - likely)
            if room < least:
                return NoFit(
                    kind="window",
                    reason=f"window too small: about {likely} tokens and {least} for the answer, "
                    f"it has {model.context_window}",
                )
        return room


def _find_schedule(
    provider: Provider, model: Model, now: datetime, tier: FlexTier | None, lasts: timedelta
) -> PriceSchedule | None:
    schedule = find_price_schedule(provider, model, now, now + lasts)
    if schedule is None or tier is None or not tier.refuses:
        return schedule
    return replace(schedule, prices=tuple((price, factor * tier.multiple) for price, factor in schedule.prices))


def _find_missing_feature(provider: Provider, model: Model, need: Requirements) -> str | None:
    if need.tools != "none" and model.tools == "no":
        return "does not call the caller's tools"
    if need.tools == "forced" and model.tools == "unforced":
        return "cannot be forced to call a tool"
    for feature in sorted(need.features):
        if feature == "web_search":
            # The user's own server may search by itself; no other does unasked.
            if provider.name != "local" and (provider.search is None or "web_search" not in model.features):
                return "cannot search the web here"
        elif feature == "json_schema":
            # A model with JSON mode only, or of unknown features, gets the schema in words; its answer is checked.
            if model.features and not model.features & {"json_schema", "json_object"}:
                return "cannot be held to a JSON Schema"
        elif feature not in model.features:
            return f"does not take {'images' if feature == 'vision' else feature.upper()}"
    return None


def _list_search_limits(provider: Provider, need: Requirements) -> tuple[int, ...]:
    if "web_search" not in need.features or provider.search is None:
        return (0,)
    return _SEARCH_LIMITS if provider.search.bounded else (1,)


def _min_output(need: Requirements) -> int:
    typical = max(_MIN_OUTPUT_TOKENS, need.typical_usage.output_tokens // 4)
    return min(need.max_output_tokens or _MIN_OUTPUT_TOKENS * 64, typical)


def _wanted_output(need: Requirements, effort: Effort) -> int:
    visible = need.max_output_tokens or max(256, min(8_192, 4 * need.typical_usage.output_tokens))
    return visible + need.typical_usage.hidden_tokens * _THINKING_MULTIPLES[effort]
