"""What a request costs, and the most it can cost before it is sent. Pure: time comes in, dollars come out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

from mcp_router.ledger.records import CostSource
from providers.catalog import Model, PeakHours, Price, Provider
from providers.completion import Usage

MTOK = Decimal(1_000_000)
ZERO = Decimal(0)
ONE = Decimal(1)

UNLIMITED_OUTPUT_TOKENS = 1_000_000_000
"""As many output tokens as one likes: they cost nothing."""

_STEP_MARGIN = 1.1
"""Prices beyond a step hold from this much below it when a request is quoted."""

MIN_CACHED_TOKENS = 1024
"""Prompts shorter than this are not written into any vendor's cache unasked."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What tokens cost at one moment for one size of prompt, in US dollars per million."""

    input_mtok: Decimal
    output_mtok: Decimal
    cache_read_mtok: Decimal
    cache_write_mtok: Decimal
    thinking_output_mtok: Decimal
    caches_unasked: bool

    def output_price(self, *, thinking: bool) -> Decimal:
        """Return the output price, with or without thinking."""
        return self.thinking_output_mtok if thinking else self.output_mtok

    def max_input_price(self, input_tokens: int, *, cache_writes: bool) -> Decimal:
        """Return the highest price of an input token."""
        if cache_writes or (self.caches_unasked and input_tokens >= MIN_CACHED_TOKENS):
            return max(self.input_mtok, self.cache_write_mtok)
        return self.input_mtok


def find_token_prices(provider: Provider, model: Model, at: datetime, input_tokens: int) -> TokenPrices | None:
    """Return the token prices at a moment for a prompt of this size; None if unknown.

    DeepSeek decides by the moment a request completes: https://api-docs.deepseek.com/quick_start/pricing
    """
    moment = at.astimezone(UTC)
    price = next((price for price in _prices(provider, model) if _holds(price, moment.date(), moment.date())), None)
    if price is None:
        return None
    factor = ONE
    if provider.peak is not None and not _is_peak(provider.peak, moment):
        factor = provider.peak.off_peak_multiple
    return _rates(provider, model, price, factor, input_tokens)


def compute_cost(
    provider: Provider, model: Model, usage: Usage, *, at: datetime, thinking: bool
) -> tuple[Decimal | None, CostSource]:
    """Return the cost of a request that completed at `at`, and its source. The vendor's own figure wins."""
    if usage.reported_cost_usd is not None:
        return usage.reported_cost_usd, "reported"
    rates = find_token_prices(provider, model, at, usage.input_tokens)
    fee = _search_fee(provider, model, usage.searches)
    if rates is None or fee is None:
        return None, "unknown"
    tier = provider.service_tiers.get(usage.service_tier, ONE)
    cached = min(usage.cache_read_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    tokens = (
        (usage.input_tokens - cached - written) * rates.input_mtok
        + cached * rates.cache_read_mtok
        + written * rates.cache_write_mtok
        + usage.output_tokens * rates.output_price(thinking=thinking)
    )
    return tokens * tier / MTOK + fee, "priced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """The most that one request can be billed, by what it brings back. It holds at every moment it was made for."""

    fees_usd: Decimal
    """For its searches."""
    prompt_and_output: tuple[tuple[Decimal, Decimal], ...]
    """What the whole prompt and what one output token cost at each rate that may hold, in millionths of a dollar."""

    def max_cost_usd(self, output_tokens: int) -> Decimal:
        """Say what so many output tokens cost at most, all in all."""
        return self.fees_usd + max(prompt + output_tokens * each for prompt, each in self.prompt_and_output) / MTOK

    def max_output_tokens(self, ceiling_usd: Decimal) -> int:
        """Count the output tokens that stay within the ceiling whatever happens: 0 where not even the prompt fits,
        `UNBOUNDED` where output is free.
        """
        found = UNLIMITED_OUTPUT_TOKENS
        for prompt, each in self.prompt_and_output:
            left = (ceiling_usd - self.fees_usd) * MTOK - prompt
            if left < 0:
                return 0
            if each:
                found = min(found, int((left / each).to_integral_value(ROUND_FLOOR)))
        return found


@dataclass(frozen=True, slots=True)
class PriceSchedule:
    """What one model may ask for a request that completes between two moments."""

    provider: Provider
    model: Model
    prices: tuple[tuple[Price, Decimal], ...]
    """Every price that may hold, with every multiple of it that may."""

    def quote(self, input_tokens: int, *, searches: int, thinking: bool, cache_writes: bool = False) -> Quote | None:
        """Quote one prompt; None if the cost of its searches is unknown.

        `cache_writes` says that the request asks for its prompt to be cached, which some vendors bill.
        """
        fee = _search_fee(self.provider, self.model, searches)
        if fee is None:
            return None
        # A prompt just below a step can be beyond it by the vendor's own count.
        lengths = {input_tokens, math.ceil(input_tokens * _STEP_MARGIN)}
        rates = [
            _rates(self.provider, self.model, price, factor, length)
            for price, factor in self.prices
            for length in lengths
        ]
        each = [
            (
                input_tokens * rate.max_input_price(input_tokens, cache_writes=cache_writes),
                rate.output_price(thinking=thinking),
            )
            for rate in rates
        ]
        return Quote(fees_usd=fee, prompt_and_output=tuple(each))


def find_price_schedule(provider: Provider, model: Model, starts: datetime, ends: datetime) -> PriceSchedule | None:
    """Find the highest prices between two moments; None if one of them is unknown."""
    prices = _prices(provider, model)
    if provider.peak is None and prices and all((price.since, price.until) == (None, None) for price in prices):
        return PriceSchedule(provider, model, tuple((price, ONE) for price in prices))  # at all times the same
    first, last = starts.astimezone(UTC), ends.astimezone(UTC)
    holding = [price for price in prices if _holds(price, first.date(), last.date())]
    if not all(any(_holds(price, day, day) for price in holding) for day in {first.date(), last.date()}):
        return None
    factors = {ONE} if provider.peak is None else set(_factors(provider.peak, first, last))
    return PriceSchedule(provider, model, tuple((price, factor) for price in holding for factor in factors))


def _prices(provider: Provider, model: Model) -> tuple[Price, ...]:
    if model.prices:
        return model.prices
    return () if provider.price is None else (provider.price,)


def _holds(price: Price, first: date, last: date) -> bool:
    """Whether a price holds on any day from the first to the last."""
    return (price.since is None or price.since <= last) and (price.until is None or first < price.until)


def _rates(provider: Provider, model: Model, price: Price, factor: Decimal, input_tokens: int) -> TokenPrices:
    fresh, out, cached = price.input_mtok, price.output_mtok, price.cache_read_mtok
    for step in price.steps:
        if input_tokens > step.above_input_tokens:
            fresh, out, cached = step.input_mtok, step.output_mtok, step.cache_read_mtok
    multiple = provider.cache_write_multiple
    if price.cache_write_mtok is not None and price.input_mtok:
        multiple = price.cache_write_mtok / price.input_mtok
    thinking = out
    if price.thinking_output_mtok is not None and price.output_mtok:
        # The one model with a thinking price and a long-prompt step, qwen-plus, keeps the ratio beyond it.
        thinking = out * price.thinking_output_mtok / price.output_mtok
    return TokenPrices(
        input_mtok=fresh * factor,
        output_mtok=out * factor,
        cache_read_mtok=(fresh if cached is None else cached) * factor,
        cache_write_mtok=fresh * multiple * factor,
        thinking_output_mtok=thinking * factor,
        caches_unasked=model.caches_unasked,
    )


def _search_fee(provider: Provider, model: Model, searches: int) -> Decimal | None:
    if searches <= 0:
        return ZERO
    if model.search_fee_usd is not None:
        return model.search_fee_usd * searches
    return None if provider.search is None else provider.search.fee_usd * searches


def _is_peak(peak: PeakHours, moment: datetime) -> bool:
    if moment.weekday() not in peak.weekdays or moment.date() in peak.holidays:
        return False
    minute = moment.hour * 60 + moment.minute
    return any(begin <= minute < end for begin, end in _spans(peak.hours_utc))


def _factors(peak: PeakHours, first: datetime, last: datetime) -> Iterator[Decimal]:
    """Return the multiples that can apply between two moments: at both ends, and at each boundary between."""
    moments = [first, last]
    day = datetime(first.year, first.month, first.day, tzinfo=UTC)
    while day <= last:
        moments += [
            boundary
            for span in _spans(peak.hours_utc)
            for minute in (0, *span)
            if first <= (boundary := day + timedelta(minutes=minute)) <= last
        ]
        day += timedelta(days=1)
    for moment in moments:
        yield ONE if _is_peak(peak, moment) else peak.off_peak_multiple


@lru_cache
def _spans(hours: tuple[tuple[str, str], ...]) -> tuple[tuple[int, int], ...]:
    return tuple((_minute(begin), _minute(end)) for begin, end in hours)


def _minute(hour: str) -> int:
    return int(hour[:2]) * 60 + int(hour[3:])
