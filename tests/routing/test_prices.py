"""What requests cost, and the most they can cost, worked out by hand and against another catalogue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from mcp_router.routing.catalog import Catalog
from mcp_router.routing.prices import (
    UNLIMITED_OUTPUT_TOKENS,
    Quote,
    compute_cost,
    find_price_schedule,
    find_token_prices,
)
from providers.catalog import Model, Provider
from providers.completion import Usage

CATALOG = Catalog.with_shipped()
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TUESDAY = date(2026, 11, 24)


def both(name: str) -> tuple[Provider, Model]:
    model = CATALOG.model(name)
    return CATALOG.provider(model.provider), model


def cost(name: str, usage: Usage, *, at: datetime = NOON, thinking: bool = False) -> Decimal | None:
    return compute_cost(*both(name), usage, at=at, thinking=thinking)[0]


def quoted(
    provider: Provider, model: Model, starts: datetime, ends: datetime, tokens: int, **how: bool | int
) -> Quote | None:
    asked = find_price_schedule(provider, model, starts, ends)
    return None if asked is None else asked.quote(tokens, **{"searches": 0, "thinking": False, **how})


def most(
    name: str,
    *,
    starts: datetime = NOON,
    seconds: float = 60,
    input_tokens: int = 0,
    output_tokens: int = 0,
    searches: int = 0,
) -> Decimal | None:
    found = quoted(*both(name), starts, starts + timedelta(seconds=seconds), input_tokens, searches=searches)
    return None if found is None else found.max_cost_usd(output_tokens)


def test_fresh_cached_and_written_tokens_each_have_their_price() -> None:
    usage = Usage(input_tokens=10_000, output_tokens=1_000, cache_read_tokens=6_000, cache_write_tokens=1_000)

    found = compute_cost(*both("claude:claude-sonnet-5-5"), usage, at=NOON, thinking=True)

    # 3,000 x 2 + 6,000 x 0.10 + 1,000 x 2.50 + 1,000 x 10, per million
    assert found == (Decimal("0.0191"), "priced")


def test_the_vendors_own_word_wins_and_says_so() -> None:
    usage = Usage(input_tokens=10_000, output_tokens=1_000, reported_cost_usd=Decimal("0.00042"))

    found = compute_cost(*both("openrouter:openai/gpt-oss-20b"), usage, at=NOON, thinking=False)

    assert found == (Decimal("0.00042"), "reported")


def test_an_unknown_price_is_unknown_and_not_free() -> None:
    provider, model = both("claude:claude-haiku-5-5")
    nameless = replace(model, prices=())
    usage = Usage(input_tokens=10, output_tokens=10)

    assert compute_cost(provider, nameless, usage, at=NOON, thinking=False) == (None, "unknown")
    assert find_token_prices(provider, nameless, NOON, 10) is None
    assert find_price_schedule(provider, nameless, NOON, NOON) is None


def test_a_search_nobody_has_a_fee_for_makes_the_cost_unknown() -> None:
    assert cost("mistral:mistral-small-2603", Usage(input_tokens=10, output_tokens=10, searches=1)) is None
    assert most("mistral:mistral-small-2603", searches=1) is None


def test_whatever_a_local_server_serves_costs_nothing() -> None:
    provider = CATALOG.provider("local")
    model = CATALOG.model_or_unlisted("local:llama3.2")

    found = compute_cost(provider, model, Usage(input_tokens=10**6, output_tokens=10**6), at=NOON, thinking=False)
    asked = quoted(provider, model, NOON, NOON, 9, thinking=True)

    assert found == (Decimal(0), "priced")
    assert asked is not None
    assert asked.max_output_tokens(Decimal(0)) == UNLIMITED_OUTPUT_TOKENS


@pytest.mark.parametrize(
    ("name", "tokens", "usd"),
    [
        ("claude:claude-haiku-5-5", 100_000, "0.01"),
        ("claude:claude-haiku-5-5", 100_001, "0.0500005"),
        ("qwen:qwen3.7-flash", 32_000, "0.00096"),
        ("qwen:qwen3.7-flash", 32_001, "0.0032001"),
        ("qwen:qwen3.7-flash", 256_001, "0.0512002"),
        ("grok:grok-4.7", 199_999, "0.399998"),
        ("grok:grok-4.7", 200_000, "0.8"),  # this vendor counts the boundary itself as long
    ],
)
def test_a_long_prompt_costs_more_from_its_first_token_on(name: str, tokens: int, usd: str) -> None:
    assert cost(name, Usage(input_tokens=tokens, output_tokens=0)) == Decimal(usd)


@pytest.mark.parametrize(
    ("at", "factor"),
    [
        (datetime(2026, 11, 24, 0, 59, 59, tzinfo=UTC), "0.5"),
        (datetime(2026, 11, 24, 1, 0, tzinfo=UTC), "1"),
        (datetime(2026, 11, 24, 3, 59, 59, tzinfo=UTC), "1"),
        (datetime(2026, 11, 24, 4, 0, tzinfo=UTC), "0.5"),
        (datetime(2026, 11, 24, 6, 0, tzinfo=UTC), "1"),
        (datetime(2026, 11, 24, 10, 0, tzinfo=UTC), "0.5"),
        (datetime(2026, 11, 28, 2, 0, tzinfo=UTC), "0.5"),  # a Saturday
        (datetime(2026, 10, 1, 2, 0, tzinfo=UTC), "0.5"),  # a Thursday, and a public holiday in China
        (datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=8))), "1"),  # 01:30 UTC
    ],
)
def test_deepseek_costs_half_outside_its_peak_hours(at: datetime, factor: str) -> None:
    found = cost("deepseek:deepseek-flash", Usage(input_tokens=1_000_000, output_tokens=0), at=at)

    assert found == Decimal("0.3") * Decimal(factor)


@pytest.mark.parametrize(
    ("at", "usd"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), "2"),
        (datetime(2026, 12, 1, tzinfo=UTC), "4"),
        (datetime(2030, 1, 1, tzinfo=UTC), "4"),
    ],
)
def test_a_price_changes_at_midnight_of_its_day(at: datetime, usd: str) -> None:
    assert cost("gemini:gemini-4-argon", Usage(input_tokens=1_000_000, output_tokens=0), at=at) == Decimal(usd)


def test_thinking_output_costs_more_where_the_vendor_says_so() -> None:
    usage = Usage(input_tokens=0, output_tokens=1_000_000)

    assert cost("qwen:qwen-plus", usage) == Decimal("1.2")
    assert cost("qwen:qwen-plus", usage, thinking=True) == Decimal(4)


@pytest.mark.parametrize(
    ("name", "fee"),
    [
        ("gemini:gemini-3.8-flash", "0.028"),
        ("gemini:gemini-2.5-flash-lite", "0.07"),
        ("perplexity:perplexity/sonar", "0.005"),
        ("groq:openai/gpt-oss-120b", "0.01"),
        ("claude:claude-sonnet-5-5", "0.02"),
    ],
)
def test_each_search_adds_its_fee(name: str, fee: str) -> None:
    assert cost(name, Usage(input_tokens=0, output_tokens=0, searches=2)) == Decimal(fee)


def test_an_estimate_that_may_run_into_peak_hours_is_at_the_peak_price() -> None:
    quiet = most("deepseek:deepseek-flash", starts=datetime(2026, 11, 24, 0, 50, tzinfo=UTC), input_tokens=1_000_000)
    across = most(
        "deepseek:deepseek-flash",
        starts=datetime(2026, 11, 24, 0, 59, 30, tzinfo=UTC),
        seconds=60,
        input_tokens=1_000_000,
    )
    over_all = most(
        "deepseek:deepseek-flash",
        starts=datetime(2026, 11, 24, 0, 30, tzinfo=UTC),
        seconds=4 * 3600,
        input_tokens=1_000_000,
    )

    assert (quiet, across, over_all) == (Decimal("0.15"), Decimal("0.3"), Decimal("0.3"))


def test_an_estimate_that_may_run_over_midnight_is_at_the_dearer_price() -> None:
    found = most("gemini:gemini-4-argon", starts=datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC), input_tokens=1_000_000)

    assert found == Decimal(4)


def test_an_estimate_counts_a_cache_that_is_written_unasked() -> None:
    long = most("openai:gpt-6-luna", input_tokens=10_000)
    short = most("openai:gpt-6-luna", input_tokens=1_000)
    never = most("openai:gpt-4o-mini", input_tokens=10_000)

    assert (long, short, never) == (Decimal("0.00125"), Decimal("0.0001"), Decimal("0.0015"))


def test_an_estimate_counts_a_cache_that_is_asked_for() -> None:
    provider, model = both("claude:claude-sonnet-5-5")

    found = quoted(provider, model, NOON, NOON, 10_000, cache_writes=True)

    assert found is not None
    assert found.max_cost_usd(0) == Decimal("0.025")


MOMENTS = st.datetimes(datetime(2026, 11, 20), datetime(2027, 1, 5), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone
PRICED = st.sampled_from(tuple(CATALOG.models()))
TOKENS = st.integers(0, 400_000)


@given(PRICED, TOKENS, TOKENS, st.integers(0, 2), MOMENTS, st.integers(0, 7200), st.integers(0, 100), st.booleans())
def test_nothing_ever_costs_more_than_was_estimated(  # noqa: PLR0917 -- one drawn value each
    model: Model,
    given_in: int,
    given_out: int,
    searches: int,
    starts: datetime,
    seconds: int,
    per_cent: int,
    think: bool,
) -> None:
    provider = CATALOG.provider(model.provider)
    ends = starts + timedelta(seconds=seconds)
    completed = starts + timedelta(seconds=seconds * per_cent / 100)
    cached = given_in * per_cent // 200
    usage = Usage(
        input_tokens=given_in,
        output_tokens=given_out,
        cache_read_tokens=cached,
        cache_write_tokens=given_in - cached,
        searches=searches,
    )

    bound = quoted(provider, model, starts, ends, given_in, searches=searches, thinking=think, cache_writes=True)
    paid, _ = compute_cost(provider, model, usage, at=completed, thinking=think)

    assert (bound is None) == (paid is None)
    assert paid is None or bound is None or paid <= bound.max_cost_usd(given_out)


@given(PRICED, st.integers(0, 150_000), st.sampled_from(["0.0001", "0.001", "0.01", "0.05", "0.5"]), MOMENTS)
def test_one_more_token_than_is_affordable_is_too_much(
    model: Model, given_in: int, ceiling: str, starts: datetime
) -> None:
    provider = CATALOG.provider(model.provider)

    found = quoted(provider, model, starts, starts + timedelta(minutes=10), given_in)

    assert found is not None
    output = found.max_output_tokens(Decimal(ceiling))
    assert output == 0 or found.max_cost_usd(output) <= Decimal(ceiling)
    assert output == UNLIMITED_OUTPUT_TOKENS or found.max_cost_usd(output + 1) > Decimal(ceiling)


THEIR_NAMES = {
    "claude": "anthropic",
    "openai": "openai",
    "mistral": "mistral",
    "gemini": "google",
    "deepseek": "deepseek",
    "kimi": "moonshotai",
    "glm": "zai",
    "groq": "groq",
    "grok": "x-ai",
    "perplexity": "perplexity",
    "openrouter": "openrouter",
    "copilot": "github-copilot",
}
ONLY_STORAGE = "OpenRouter lists what storing the written tokens costs, and leaves out that they are read as input too"
DISAGREEMENTS = {
    "claude:claude-sonnet-4-5": "its window ends at 200,000 tokens, so their long-prompt price never applies",
    "openrouter:google/gemini-2.5-flash-lite": ONLY_STORAGE,
    "openrouter:google/gemini-3.5-flash-lite": ONLY_STORAGE,
    "openrouter:google/gemini-3.8-flash": ONLY_STORAGE,
    "openrouter:google/gemini-4-argon": ONLY_STORAGE,
}
THEY_DO_NOT_LIST = {
    "openai:gpt-6.2-sol",
    "openai:gpt-6.2-astra",
    "gemini:gemini-4-carbon",
    "glm:glm-4.7-flash",
    "groq:qwen/qwen3.6-27b",
    "perplexity:openai/gpt-6-luna",
    "perplexity:openai/gpt-6.1-sol",
    "perplexity:anthropic/claude-sonnet-5-5",
    "perplexity:anthropic/claude-opus-5-5",
    "perplexity:google/gemini-3.7-flash",
    "perplexity:xai/grok-4.6",
    "openrouter:anthropic/claude-fable-5.2",
    "openrouter:openrouter/free",
    "copilot:claude-fable-5.2",
    "copilot:gemini-4-carbon",
    "copilot:gpt-6.2-astra",
    "copilot:gpt-6.2-sol",
    "gemini:gemini-4-hydrogen",
    "gemini:gemini-4-neon",
    "glm:glm-5-turbo",
    "perplexity:anthropic/claude-fable-5-1",
    "perplexity:anthropic/claude-haiku-5-5",
    "perplexity:google/gemini-3.5-flash-lite",
    "perplexity:google/gemini-4-argon",
    "perplexity:openai/gpt-6-astra",
    "perplexity:openai/gpt-6-sol",
    "perplexity:xai/grok-4.3",
    "perplexity:xai/grok-4.7",
}
ASKED = (
    Usage(input_tokens=1_000, output_tokens=200),
    Usage(input_tokens=150_000, output_tokens=1_000),
    Usage(input_tokens=300_000, output_tokens=1_000),
    Usage(input_tokens=300_000, output_tokens=1_000, cache_read_tokens=200_000),
    Usage(input_tokens=2_000, output_tokens=300, cache_read_tokens=1_500),
    Usage(input_tokens=2_000, output_tokens=300, cache_write_tokens=1_500),
)
WHEN = (
    datetime(2026, 11, 24, 2, 0, tzinfo=UTC),
    NOON,
    datetime(2026, 12, 2, 12, 0, tzinfo=UTC),
    datetime(2027, 1, 4, 12, 0, tzinfo=UTC),
)


def test_our_prices_are_those_of_another_catalogue_but_for_the_ones_named() -> None:
    disagree: set[str] = set()
    unlisted: set[str] = set()
    agree = 0

    for model in CATALOG.models():
        if model.provider in THEIR_NAMES:
            theirs = their_costs(model)
            ours = [
                compute_cost(CATALOG.provider(model.provider), model, usage, at=at, thinking=False)[0]
                for at in WHEN
                for usage in ASKED
            ]
            if theirs is None:
                unlisted.add(model.id)
            elif theirs != ours:
                disagree.add(model.id)
            else:
                agree += 1

    assert disagree == set(DISAGREEMENTS)
    assert unlisted == THEY_DO_NOT_LIST
    assert agree > 100


def their_costs(model: Model) -> list[Decimal] | None:
    try:
        return [
            calc_price(
                TheirUsage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cache_read_tokens=usage.cache_read_tokens,
                    cache_write_tokens=usage.cache_write_tokens,
                ),
                model.name,
                provider_id=THEIR_NAMES[model.provider],
                genai_request_timestamp=at,
            ).total_price
            for at in WHEN
            for usage in ASKED
        ]
    except LookupError:
        return None
