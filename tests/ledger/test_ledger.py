"""What a ledger promises, held to by every database it can live in."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from mcp_router.ledger.calendar import day_from_time, iso_from_day
from mcp_router.ledger.connect import open_ledger
from mcp_router.ledger.ledger import Ledger
from mcp_router.ledger.queries.rollups import SUMS
from mcp_router.ledger.records import (
    Attempt,
    Breaker,
    Budget,
    BudgetRefusal,
    BudgetStatus,
    GroupBy,
    OutcomeCounts,
    RateLimit,
    RateRefusal,
    RateUsage,
    RecordedCall,
    RouteOutcomes,
    VendorRateLimit,
)
from providers.completion import Limits
from tests.support.ledgers import DAY, HOUR, NOON, TODAY, a_hold, an_attempt, asked, by_hand, daily, fresh_url, monthly


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = await open_ledger(url, clock=lambda: NOON)
    yield opened
    await opened.aclose()


async def spent(ledger: Ledger, limit: Budget, now: float = NOON) -> Decimal:
    return (await ledger.read_budgets([limit], now))[0].spent_usd


async def held(ledger: Ledger, limit: Budget, now: float = NOON) -> Decimal:
    return (await ledger.read_budgets([limit], now))[0].held_usd


# Budgets


async def test_a_hold_counts_against_its_budget_until_it_is_settled(ledger: Ledger) -> None:
    limit = daily("1")

    refusal = await ledger.hold(a_hold("call", "0.4"), [limit], None)
    under_way = await ledger.read_budgets([limit], NOON)
    await ledger.settle("hold call", an_attempt("call", "0.25"))
    after = await ledger.read_budgets([limit], NOON)

    assert refusal is None
    midnight = TODAY + DAY
    assert under_way == [BudgetStatus(budget=limit, spent_usd=Decimal(0), held_usd=Decimal("0.4"), resets_at=midnight)]
    assert after == [BudgetStatus(budget=limit, spent_usd=Decimal("0.25"), held_usd=Decimal(0), resets_at=midnight)]


async def test_a_budget_for_ten_admits_exactly_ten_of_sixty_four_at_once(ledger: Ledger) -> None:
    limit = daily("1")
    admitted: list[str] = []

    async def call(name: str) -> None:
        if await ledger.hold(a_hold(name, "0.1"), [limit], None) is None:
            admitted.append(name)
            await ledger.settle(f"hold {name}", an_attempt(name, "0.1"))

    async with anyio.create_task_group() as calls:
        for number in range(64):
            calls.start_soon(call, f"call {number}")

    assert len(admitted) == 10
    assert await spent(ledger, limit) == Decimal(1)
    assert await ledger.find_differences() == []


async def test_a_budget_of_zero_admits_only_what_is_free(ledger: Ledger) -> None:
    paid = await ledger.hold(a_hold("paid", "0.000000001"), [daily("0")], None)
    free = await ledger.hold(a_hold("free", "0"), [daily("0")], None)

    assert isinstance(paid, BudgetRefusal)
    assert free is None


async def test_a_negative_budget_admits_only_what_is_free(ledger: Ledger) -> None:
    paid = await ledger.hold(a_hold("paid", "0.01"), [daily("-5")], None)
    free = await ledger.hold(a_hold("free", "0"), [daily("-5")], None)

    assert isinstance(paid, BudgetRefusal)
    assert paid.left_usd == 0
    assert free is None


async def test_a_budget_beyond_all_money_is_held_exactly(ledger: Ledger) -> None:
    assert await ledger.hold(a_hold("call", "0.1"), [monthly("1e30")], None) is None


@pytest.mark.parametrize("amount", ["-0.1", "NaN", "Infinity", "1e12"])
async def test_a_claim_that_is_no_amount_of_money_is_a_mistake(ledger: Ledger, amount: str) -> None:
    with pytest.raises(ValueError, match=r"amount of money|between 0 and"):
        await ledger.hold(a_hold("call", amount), [daily("1")], None)

    assert await held(ledger, daily("1")) == 0


async def test_a_claim_below_a_nano_dollar_still_counts(ledger: Ledger) -> None:
    assert isinstance(await ledger.hold(a_hold("call", "1e-12"), [daily("0")], None), BudgetRefusal)


async def test_a_refusal_says_what_is_spent_held_left_and_when_it_resets(ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.settle(None, an_attempt("before", "0.5"))
    await ledger.hold(a_hold("under way", "0.3"), [limit], None)

    refusal = await ledger.hold(a_hold("call", "0.200000001"), [limit], None)
    fitting = await ledger.hold(a_hold("call", "0.2"), [limit], None)

    assert refusal == BudgetRefusal(
        wanted_usd=Decimal("0.200000001"),
        budget=limit,
        spent_usd=Decimal("0.5"),
        held_usd=Decimal("0.3"),
        resets_at=TODAY + DAY,
    )
    assert refusal.left_usd == Decimal("0.2")
    assert fitting is None


async def test_of_two_budgets_the_refusal_names_the_one_with_less_left(ledger: Ledger) -> None:
    refusal = await ledger.hold(a_hold("call", "5"), [daily("4"), monthly("3")], None)

    assert isinstance(refusal, BudgetRefusal)
    assert refusal.budget.name == "monthly"


async def test_a_clients_budget_counts_only_that_client_and_everybodys_counts_all(ledger: Ledger) -> None:
    everybody, alice, bob = daily("1"), daily("0.5", "alice"), daily("0.5", "bob")
    limits = [everybody, alice, bob]
    await ledger.settle(None, an_attempt("a", "0.5", client="alice"))
    await ledger.hold(a_hold("b", "0.2", client="bob"), limits, None)

    alices = await ledger.hold(a_hold("more", "0.1", client="alice"), limits, None)
    bobs = await ledger.hold(a_hold("more", "0.3", client="bob"), limits, None)
    nobodys = await ledger.hold(a_hold("yet more", "0.1", client="carol"), limits, None)

    assert isinstance(alices, BudgetRefusal)
    assert alices.budget == alice
    assert bobs is None
    assert isinstance(nobodys, BudgetRefusal)
    assert nobodys.budget == everybody
    assert [(state.spent_usd, state.held_usd) for state in await ledger.read_budgets(limits, NOON)] == [
        (Decimal("0.5"), Decimal("0.5")),
        (Decimal("0.5"), Decimal(0)),
        (Decimal(0), Decimal("0.5")),
    ]


async def test_a_client_without_a_name_is_not_everybody(ledger: Ledger) -> None:
    await ledger.settle(None, an_attempt("named", "0.5", client="alice"))
    await ledger.settle(None, an_attempt("nameless", "0.25", client=""))

    assert await spent(ledger, daily("1", "")) == Decimal("0.25")
    assert await spent(ledger, daily("1")) == Decimal("0.75")


async def test_a_day_starts_with_nothing_spent_and_a_month_remembers_its_days(ledger: Ledger) -> None:
    first, last = TODAY - 23 * DAY, TODAY + 7 * DAY  # 1 November and 1 December
    await ledger.settle(None, an_attempt("last of October", "8", started_at=first - 0.001))
    await ledger.settle(None, an_attempt("first of November", "4", started_at=first))
    await ledger.settle(None, an_attempt("yesterday", "2", started_at=TODAY - 0.001))
    await ledger.settle(None, an_attempt("today", "1", started_at=TODAY))

    today, november = await ledger.read_budgets([daily("9"), monthly("9")], NOON)
    december = (await ledger.read_budgets([monthly("9")], last))[0]

    assert (today.spent_usd, today.resets_at) == (Decimal(1), TODAY + DAY)
    assert (november.spent_usd, november.resets_at) == (Decimal(7), last)
    assert (december.spent_usd, december.resets_at) == (Decimal(0), last + 31 * DAY)


async def test_expired_hold_becomes_a_lost_attempt_at_its_bound(ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.hold(a_hold("lost", "0.6", expires_at=NOON + 60), [limit], None)

    early = await ledger.hold(a_hold("early", "0.5", now=NOON + 59), [limit], None)
    late = await ledger.hold(a_hold("late", "0.5", now=NOON + 60), [limit], None)
    admitted = await ledger.hold(a_hold("small", "0.4", now=NOON + 60), [limit], None)

    assert isinstance(early, BudgetRefusal)
    assert early.held_usd == Decimal("0.6")
    assert isinstance(late, BudgetRefusal)
    assert (late.spent_usd, late.held_usd) == (Decimal("0.6"), Decimal(0))
    assert admitted is None
    (attempt,) = await ledger.read_attempts("lost")
    assert (attempt.outcome, attempt.cost_usd, attempt.cost_source) == ("lost", Decimal("0.6"), "bound")
    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total
    assert (total.lost_attempts, total.failed_attempts, total.uncertain_usd) == (1, 1, Decimal("0.6"))
    assert await ledger.find_differences() == []


async def test_attempt_settled_after_its_lease_replaces_the_lost_one(ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.hold(a_hold("slow", "0.6", expires_at=NOON + 60), [limit], None)
    await ledger.hold(a_hold("next", "0.1", now=NOON + 61), [limit], None)

    settled = [await ledger.settle("hold slow", an_attempt("slow", "0.2")) for _ in range(2)]

    assert settled == ["written", "written"]
    assert await ledger.read_attempts("slow") == [an_attempt("slow", "0.2")]
    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total
    assert (total.attempts, total.lost_attempts, total.cost_usd) == (1, 0, Decimal("0.2"))
    assert await ledger.find_differences() == []


async def test_a_call_that_outlived_its_lease_is_still_paid(ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.hold(a_hold("slow", "1", expires_at=NOON + 60), [limit], None)
    await ledger.hold(a_hold("other", "0", now=NOON + 100), [limit], None)

    await ledger.settle("hold slow", an_attempt("slow", "0.9", seconds=200))

    assert await spent(ledger, limit) == Decimal("0.9")
    assert await ledger.find_differences() == []


async def test_a_hold_that_is_asked_for_twice_is_held_once(ledger: Ledger) -> None:
    limit, rate = daily("1"), RateLimit(provider="groq", requests_per_minute=1)

    answers = [await ledger.hold(a_hold("call", "0.7"), [limit], rate) for _ in range(2)]

    assert answers == [None, None]
    assert await held(ledger, limit) == Decimal("0.7")


# Settling


async def test_an_attempt_is_read_as_it_was_written(ledger: Ledger) -> None:
    failed = an_attempt("call", None, outcome="failed", error="unavailable", detail="503: try later", seconds=0.25)
    answered = an_attempt(
        "call",
        "0.000000001",
        number=2,
        finish_reason="length",
        cache_read_tokens=3,
        cache_write_tokens=4,
        reasoning_tokens=5,
        searches=1,
        cost_source="reported",
        baseline_usd=Decimal("0.75"),
        baseline="claude:claude-opus-5-5",
    )

    await ledger.settle(None, answered)
    await ledger.settle(None, failed)

    assert await ledger.read_attempts("call") == [failed, answered]
    assert await ledger.read_attempts("another") == []


async def test_an_attempt_settled_twice_is_paid_once(ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.hold(a_hold("call", "0.5"), [limit], None)

    async with anyio.create_task_group() as writers:
        for _ in range(8):
            writers.start_soon(ledger.settle, "hold call", an_attempt("call", "0.5"))

    assert await spent(ledger, limit) == Decimal("0.5")
    assert await held(ledger, limit) == 0
    assert len(await ledger.read_attempts("call")) == 1
    assert await ledger.find_differences() == []


async def test_a_caller_that_hung_up_still_pays(ledger: Ledger) -> None:
    limit = daily("1")
    await ledger.hold(a_hold("call", "0.5"), [limit], None)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await ledger.settle("hold call", an_attempt("call", "0.5", outcome="cancelled"))

    assert await spent(ledger, limit) == Decimal("0.5")
    assert await held(ledger, limit) == 0


async def test_what_a_vendor_said_is_kept_whatever_characters_it_holds(ledger: Ledger) -> None:
    await ledger.settle(None, an_attempt("call", detail="a NUL \0, half a \ud83d smile, 100 % and a ?"))

    assert [attempt.detail for attempt in await ledger.read_attempts("call")] == [
        "a NUL , half a ? smile, 100 % and a ?"
    ]


@pytest.mark.parametrize("cost", ["-1", "NaN", "Infinity", "1e30"])
async def test_a_cost_that_cannot_be_is_unknown_and_its_row_is_kept(ledger: Ledger, cost: str) -> None:
    await ledger.settle(None, an_attempt("call", cost, output_tokens=10**30, input_tokens=-5))

    (attempt,) = await ledger.read_attempts("call")
    assert (attempt.cost_usd, attempt.cost_source) == (None, "unknown")
    assert (attempt.input_tokens, attempt.output_tokens) == (0, 10**12)
    assert await spent(ledger, daily("1")) == 0
    assert await ledger.find_differences() == []


# Rates


async def test_requests_a_minute_slide_with_the_window(ledger: Ledger) -> None:
    rate = RateLimit(provider="groq", requests_per_minute=2)
    await ledger.hold(a_hold("first", now=NOON), [], rate)
    await ledger.hold(a_hold("second", now=NOON + 10), [], rate)

    refusal = await ledger.hold(a_hold("third", now=NOON + 20), [], rate)
    elsewhere = await ledger.hold(a_hold("third", now=NOON + 20), [], RateLimit(provider="qwen", requests_per_minute=2))
    later = await ledger.hold(a_hold("fourth", now=NOON + 60), [], rate)

    assert refusal == RateRefusal(provider="groq", wait_seconds=40.0, what="2 requests a minute")
    assert elsewhere is None
    assert later is None


async def test_tokens_a_minute_are_what_the_attempt_really_took_once_that_is_known(ledger: Ledger) -> None:
    rate = RateLimit(provider="groq", tokens_per_minute=1_000)
    await ledger.hold(a_hold("long", tokens=900), [], rate)

    early = await ledger.hold(a_hold("next", tokens=200, now=NOON + 1), [], rate)
    await ledger.settle("hold long", an_attempt("long", input_tokens=500, output_tokens=300))
    settled = await ledger.hold(a_hold("next", tokens=200, now=NOON + 1), [], rate)

    assert early == RateRefusal(provider="groq", wait_seconds=59.0, what="1000 tokens a minute")
    assert settled is None
    assert list((await ledger.read_availability(NOON + 1)).rate_usage) == [
        RateUsage(provider="groq", requests=2, tokens=1_000, oldest_at=NOON)
    ]


async def test_only_the_providers_named_are_counted(ledger: Ledger) -> None:
    await ledger.hold(a_hold("one", tokens=900), [], None)

    counted = [await ledger.read_availability(NOON + 1, names) for names in (["groq", "openai"], ["openai"], [])]

    assert [[state.provider for state in standing.rate_usage] for standing in counted] == [["groq"], [], []]


async def test_no_waiting_helps_a_call_larger_than_the_rate(ledger: Ledger) -> None:
    refusal = await ledger.hold(a_hold("call", tokens=1_001), [], RateLimit(provider="groq", tokens_per_minute=1_000))

    assert isinstance(refusal, RateRefusal)
    assert refusal.wait_seconds == math.inf


async def test_what_a_refusal_names_can_really_be_waited_for(ledger: Ledger) -> None:
    rate = RateLimit(provider="groq", requests_per_minute=3, tokens_per_minute=1_000)
    for second, tokens in enumerate([600, 100, 300]):
        await ledger.hold(a_hold(f"call {second}", tokens=tokens, now=NOON + second), [], rate)

    refusal = await ledger.hold(a_hold("next", tokens=650, now=NOON + 5), [], rate)
    assert isinstance(refusal, RateRefusal)
    early = await ledger.hold(a_hold("next", tokens=650, now=NOON + 5 + refusal.wait_seconds - 0.01), [], rate)
    in_time = await ledger.hold(a_hold("next", tokens=650, now=NOON + 5 + refusal.wait_seconds), [], rate)

    assert isinstance(early, RateRefusal)
    assert in_time is None


async def test_a_rate_of_sixty_four_callers_admits_no_more_than_it_says(ledger: Ledger) -> None:
    rate = RateLimit(provider="groq", requests_per_minute=10)
    answers: list[object] = []

    async def call(number: int) -> None:
        answers.append(await ledger.hold(a_hold(f"call {number}"), [], rate))

    async with anyio.create_task_group() as calls:
        for number in range(64):
            calls.start_soon(call, number)

    assert answers.count(None) == 10


async def test_a_provider_whose_vendor_says_nothing_is_left_is_passed_over_until_its_reset(ledger: Ledger) -> None:
    said = Limits(requests_limit=30, requests_left=0, requests_reset_seconds=20, tokens_limit=6_000, tokens_left=50)
    await ledger.store_vendor_limit("groq", said, NOON)

    refusal = await ledger.hold(a_hold("call", now=NOON + 5), [], None)
    elsewhere = await ledger.hold(a_hold("call", model="qwen:qwen3", now=NOON + 5), [], None)
    known = list((await ledger.read_availability(NOON + 5)).vendor_limits)
    later = await ledger.hold(a_hold("later", now=NOON + 20), [], None)

    assert refusal == RateRefusal(provider="groq", wait_seconds=15.0, what="the vendor's own 30 requests")
    assert elsewhere is None
    assert known == [
        VendorRateLimit(scope="groq", noted_at=NOON, requests_limit=30, requests_left=0, requests_reset_at=NOON + 20)
    ]
    assert later is None
    assert list((await ledger.read_availability(NOON + 20)).vendor_limits) == []


async def test_what_the_vendor_left_is_shared_by_the_calls_that_follow(ledger: Ledger) -> None:
    said = Limits(tokens_limit=6_000, tokens_left=250, tokens_reset_seconds=30)
    await ledger.store_vendor_limit("groq:openai/gpt-oss-20b", said, NOON)

    answers = [await ledger.hold(a_hold(f"call {n}", tokens=100, now=NOON + 1), [], None) for n in range(3)]
    sibling = await ledger.hold(a_hold("sibling", model="groq:qwen3", tokens=100, now=NOON + 1), [], None)

    assert answers[:2] == [None, None]
    assert answers[2] == RateRefusal(provider="groq", wait_seconds=29.0, what="the vendor's own 6000 tokens")
    assert sibling is None


# Benches


async def test_the_longest_bench_wins_and_failures_are_kept(ledger: Ledger) -> None:
    long = Breaker(scope="provider:groq", open_until=NOON + 300, reason="quota", failures=2)
    short = Breaker(scope="provider:groq", open_until=NOON + 10, reason="unavailable", failures=3)
    other = Breaker(scope="key:qwen:abc", open_until=NOON + 5, reason="authentication", failures=1)

    await ledger.settle(None, an_attempt("first"), [long, other])
    await ledger.settle(None, an_attempt("second"), [short])

    assert list((await ledger.read_availability(NOON)).breakers) == [other, replace(long, failures=3)]


async def test_a_bench_ends_when_it_answers_again_and_is_forgotten_after_a_quiet_hour(ledger: Ledger) -> None:
    bench = Breaker(scope="model:groq:qwen3", open_until=NOON + 10, reason="rate_limit", failures=1)
    await ledger.settle(None, an_attempt("call"), [bench, replace(bench, scope="provider:kimi")])

    await ledger.close_breaker("provider:kimi")

    assert list((await ledger.read_availability(NOON + 10 + HOUR - 1)).breakers) == [bench]
    assert list((await ledger.read_availability(NOON + 10 + HOUR)).breakers) == []


# A clock that jumps


async def test_clock_that_jumps_back_ends_a_lease_neither_early_nor_late(
    ledger: Ledger,
) -> None:
    limit, back = daily("1"), NOON - 6 * HOUR
    await ledger.hold(a_hold("killed", "1", now=NOON, expires_at=NOON + 60), [limit], None)

    at_once = await ledger.hold(a_hold("call", "0.1", now=back), [limit], None)
    still = await ledger.hold(a_hold("call", "0.1", now=back + 59), [limit], None)
    after = await ledger.hold(a_hold("call", "0.1", now=back + 60), [limit], None)

    assert isinstance(at_once, BudgetRefusal)
    assert at_once.held_usd == 1
    assert isinstance(still, BudgetRefusal)
    assert still.held_usd == 1
    assert isinstance(after, BudgetRefusal)
    assert (after.spent_usd, after.held_usd) == (1, 0)


async def test_a_clock_that_jumps_back_a_day_moves_no_money(ledger: Ledger) -> None:
    await ledger.settle(None, an_attempt("today", "0.6", started_at=NOON))
    await ledger.settle(None, an_attempt("yesterday", "0.3", started_at=NOON - DAY))

    assert await spent(ledger, daily("1"), NOON) == Decimal("0.6")
    assert await spent(ledger, daily("1"), NOON - DAY) == Decimal("0.3")
    assert await spent(ledger, monthly("1"), NOON - DAY) == Decimal("0.9")
    assert await ledger.find_differences() == []


async def test_a_clock_that_jumps_back_blocks_no_provider(ledger: Ledger) -> None:
    rate = RateLimit(provider="groq", requests_per_minute=1)
    await ledger.hold(a_hold("before"), [], rate)
    await ledger.store_vendor_limit("groq", Limits(requests_left=0, requests_reset_seconds=10), NOON)
    await ledger.settle(
        None, an_attempt("failed"), [Breaker(scope="provider:groq", open_until=NOON + 30, reason="down")]
    )

    assert await ledger.hold(a_hold("after", now=NOON - HOUR), [], rate) is None
    assert [bench.open_until for bench in list((await ledger.read_availability(NOON - HOUR)).breakers)] == [
        NOON - HOUR + 29.5
    ]


# Accounts


GROUPS: dict[GroupBy, dict[str, int]] = {
    "provider": {"groq": 2, "qwen": 2},
    "model": {"groq:a": 1, "groq:b": 1, "qwen:c": 2},
    "use_case": {"analysis": 3, "summarization": 1},
    "budget_tier": {"economy": 1, "premium": 3},
    "client": {"alice": 3, "bob": 1},
    "day": {"2026-11-23": 1, "2026-11-24": 3},
}


async def four_attempts(ledger: Ledger) -> None:
    await ledger.settle(None, an_attempt("1", "0.01", model="groq:a", outcome="failed", cost_source="bound"))
    await ledger.settle(None, an_attempt("1", "0.02", number=2, model="qwen:c", baseline_usd=Decimal("0.5")))
    await ledger.settle(None, an_attempt("2", None, model="groq:b", use_case="summarization", seconds=1.5))
    await ledger.settle(
        None,
        an_attempt(
            "3", "0.04", model="qwen:c", client="bob", budget_tier="economy", started_at=NOON - DAY, session="eve"
        ),
    )


@pytest.mark.parametrize("group_by", GROUPS)
async def test_accounts_are_added_up_by_every_grouping(ledger: Ledger, group_by: GroupBy) -> None:
    await four_attempts(ledger)

    summary = await ledger.summarize(since=None, until=None, session=None, group_by=group_by)

    assert {name: totals.attempts for name, totals in summary.groups.items()} == GROUPS[group_by]
    assert summary.total == (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total
    assert sum(totals.cost_usd for totals in summary.groups.values()) == summary.total.cost_usd


@pytest.mark.parametrize("group_by", GROUPS)
async def test_spending_by_day_adds_up_to_the_totals(ledger: Ledger, group_by: GroupBy) -> None:
    await four_attempts(ledger)

    daily = await ledger.summarize_by_day(since=NOON - DAY, session=None, group_by=group_by)
    today = await ledger.summarize_by_day(since=NOON, session=None, group_by=group_by)
    summary = await ledger.summarize(since=None, until=None, session=None, group_by=group_by)

    assert {name: sum(days.values()) for name, days in daily.items()} == {
        name: totals.cost_usd for name, totals in summary.groups.items()
    }
    assert {day for days in today.values() for day in days} == {iso_from_day(day_from_time(NOON))}


async def test_totals_say_what_was_asked_spent_saved_and_left_uncertain(ledger: Ledger) -> None:
    await four_attempts(ledger)

    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total

    assert (total.calls, total.attempts, total.failed_attempts, total.fallback_calls) == (3, 4, 1, 1)
    assert (total.input_tokens, total.output_tokens) == (120, 48)
    assert (total.cost_usd, total.uncertain_usd, total.unpriced_attempts) == (Decimal("0.07"), Decimal("0.01"), 1)
    assert (total.baseline_usd, total.saved_usd) == (Decimal("0.5"), Decimal("0.43"))
    assert total.tokens_per_second == pytest.approx(36 / 2.5)
    assert total.latency_mean_ms == pytest.approx(2500 / 3)


async def test_a_call_that_failed_saves_nothing(ledger: Ledger) -> None:
    await ledger.settle(None, an_attempt("call", "0.2", outcome="failed", baseline_usd=Decimal(9)))

    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total

    assert (total.baseline_usd, total.saved_usd) == (Decimal(0), Decimal("-0.2"))


async def test_a_period_is_every_utc_day_it_touches_and_a_session_only_its_own(ledger: Ledger) -> None:
    await four_attempts(ledger)

    async def calls(since: float | None, until: float | None, session: str | None = None) -> int:
        return (await ledger.summarize(since=since, until=until, session=session, group_by=None)).total.calls

    assert await calls(NOON + 5, None) == 2
    assert await calls(None, TODAY) == 1
    assert await calls(TODAY - DAY, TODAY + 1) == 3
    assert await calls(TODAY + DAY, None) == 0
    assert await calls(None, None, "morning") == 2
    assert await calls(None, None, "eve") == 1
    assert await calls(None, None, "never") == 0


@pytest.mark.parametrize("group_by", GROUPS)
async def test_a_session_is_grouped_and_timed_as_everything_is(ledger: Ledger, group_by: GroupBy) -> None:
    await four_attempts(ledger)

    summary = await ledger.summarize(since=None, until=None, session="morning", group_by=group_by)

    half, whole_second = pytest.approx(500, rel=0.1), pytest.approx(1_500, rel=0.1)
    assert sum(totals.attempts for totals in summary.groups.values()) == summary.total.attempts == 3
    assert (summary.total.latency_p50_ms, summary.total.latency_p95_ms) == (half, whole_second)
    timed = [totals.latency_p95_ms for totals in summary.groups.values() if totals.answered_attempts]
    assert None not in timed


async def test_percentiles_are_within_a_tenth(ledger: Ledger) -> None:
    draw = random.Random(7)  # noqa: S311 - not a secret
    seconds = [draw.lognormvariate(0, 1.5) for _ in range(300)]
    for number, taken in enumerate(seconds):
        await ledger.settle(None, an_attempt(str(number), seconds=taken))

    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total

    ordered = sorted(seconds)
    assert total.latency_p50_ms == pytest.approx(1000 * ordered[149], rel=0.1)
    assert total.latency_p95_ms == pytest.approx(1000 * ordered[284], rel=0.1)


@pytest.mark.parametrize("milliseconds", [101, 120, 121, 499, 500, 501, 9_999, 119_999])
async def test_the_latency_of_a_single_answer_is_within_a_tenth(ledger: Ledger, milliseconds: int) -> None:
    await ledger.settle(None, an_attempt("only", seconds=milliseconds / 1_000))

    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total

    assert total.latency_p50_ms == total.latency_p95_ms == pytest.approx(milliseconds, rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(0, 0, 20), (-1, 0, 20), (0.02, 0, 20), (9e9, 300_000, 300_000)]
)
async def test_a_latency_beyond_all_buckets_is_counted_in_the_nearest(
    ledger: Ledger, seconds: float, least: float, most: float
) -> None:
    await ledger.settle(None, an_attempt("only", seconds=seconds))

    total = (await ledger.summarize(since=None, until=None, session=None, group_by=None)).total

    assert total.latency_p95_ms is not None
    assert least <= total.latency_p95_ms <= most
    assert await ledger.find_differences() == []


async def test_rollups_are_the_sums_of_rows_whatever_came_in_whatever_order(ledger: Ledger) -> None:
    draw = random.Random(11)  # noqa: S311 - not a secret
    attempts = [a_random_attempt(draw, call, number) for call in range(60) for number in range(1, draw.randint(2, 4))]
    draw.shuffle(attempts)

    async with anyio.create_task_group() as writers:
        for attempt in attempts:
            writers.start_soon(ledger.settle, None, attempt)

    summary = await ledger.summarize(since=None, until=None, session=None, group_by="model")
    for model, totals in summary.groups.items():
        costs = [attempt.cost_usd for attempt in attempts if attempt.model == model and attempt.cost_usd is not None]
        assert totals.cost_usd == sum(costs)
    assert summary.total.attempts == len(attempts)
    assert summary.total.calls == 60
    assert await ledger.find_differences() == []


def a_random_attempt(draw: random.Random, call: int, number: int) -> Attempt:
    return an_attempt(
        f"call {call}",
        draw.choice([None, f"{draw.randint(0, 10**9)}e-9"]),
        number=number,
        session=draw.choice(["", "one", "two"]),
        client=draw.choice(["alice", "bob", ""]),
        model=draw.choice(["groq:a", "groq:b", "qwen:c"]),
        use_case=draw.choice(["analysis", "conversation"]),
        budget_tier=draw.choice(["economy", "premium"]),
        outcome=draw.choice(["answered", "failed", "cancelled"]),
        started_at=NOON + draw.randint(-5, 5) * DAY,
        seconds=draw.random(),
        output_tokens=draw.choice([None, 7]),
        baseline_usd=draw.choice([None, Decimal("0.3")]),
    )


# Looking after it

BOGUS = (
    f"INSERT INTO rollups (session, dim, value, day, {', '.join(SUMS)}) VALUES ('a', 'all', '', ?{', 1' * len(SUMS)})"  # noqa: S608 - only our own names
)


async def test_a_rollup_that_was_tampered_with_is_found(ledger: Ledger, url: str) -> None:
    await ledger.settle(None, an_attempt("call", "0.1"))
    by_hand(url, "UPDATE rollups SET cost_nano = 7 WHERE session = '' AND dim = 'client'")
    by_hand(url, "UPDATE rollups SET b01 = 1 WHERE session = 'morning' AND dim = 'all'")
    of_buckets = "1 of 49 latency buckets differ"

    assert await ledger.find_differences() == [
        "2026-11-24, client alice: cost_nano is 0.1 USD in rows, 0.000000007 USD in rollups",
        f"2026-11-24, all of session morning: 1 answered attempts in rows, 2 timed in rollups, {of_buckets}",
    ]


async def test_a_latency_in_the_wrong_bucket_is_found(ledger: Ledger, url: str) -> None:
    await ledger.settle(None, an_attempt("call", "0.1", seconds=0.5))
    by_hand(url, "UPDATE rollups SET b01 = 1, b14 = 0 WHERE session = '' AND dim = 'all'")

    (found,) = await ledger.find_differences()

    assert found.startswith("2026-11-24, all: 1 answered attempts in rows, 1 timed in rollups, 2 of ")


async def test_rebuilding_sets_every_sum_to_what_its_rows_say_and_no_other(ledger: Ledger, url: str) -> None:
    for number in range(6):
        await ledger.settle(None, an_attempt(str(number), "0.1", started_at=NOON - number * DAY, seconds=number / 3))
    await ledger.prune(NOON - 2 * DAY)
    before = asked(url, "SELECT * FROM rollups ORDER BY session, dim, value, day")
    by_hand(
        url, "UPDATE rollups SET cost_nano = 7, b02 = 5 WHERE dim = 'model' AND day >= ?", day_from_time(NOON - DAY)
    )
    by_hand(url, "DELETE FROM rollups WHERE dim = 'client' AND day = ?", day_from_time(NOON))
    by_hand(url, BOGUS, day_from_time(NOON))
    found = await ledger.find_differences()

    rebuilt = await ledger.rebuild_rollups()

    assert rebuilt == found != []
    assert asked(url, "SELECT * FROM rollups ORDER BY session, dim, value, day") == before
    assert await ledger.find_differences() == await ledger.rebuild_rollups() == []
    assert await spent(ledger, monthly("9")) == Decimal("0.6")


async def test_rebuilding_loses_nothing_that_is_written_meanwhile(ledger: Ledger, url: str) -> None:
    other = await open_ledger(url)
    wrong = "UPDATE rollups SET attempts = attempts + 1 WHERE session = ''"

    async def settle(start: int) -> None:
        for number in range(start, start + 25):
            await other.settle(None, an_attempt(str(number), "0.1"))

    await other.settle(None, an_attempt("first", "0.1"))
    async with anyio.create_task_group() as group:
        group.start_soon(settle, 0)
        group.start_soon(settle, 100)
        for _ in range(5):
            await anyio.to_thread.run_sync(by_hand, url, wrong)
            await ledger.rebuild_rollups()
    await ledger.rebuild_rollups()

    assert await ledger.find_differences() == []
    assert await spent(ledger, daily("9")) == Decimal("5.1")
    await other.aclose()


async def test_what_is_allowed_beyond_a_budget_holds_for_everybody_until_it_resets(ledger: Ledger, url: str) -> None:
    other = await open_ledger(url)
    limits, midnight = [daily("0.1"), monthly("1")], TODAY + DAY

    await ledger.increase_budget("daily", Decimal("0.1"), midnight, NOON)
    await other.increase_budget("daily", Decimal("0.05"), midnight, NOON)

    assert [state.budget.limit_usd for state in await other.read_budgets(limits, NOON)] == [Decimal("0.25"), Decimal(1)]
    assert await other.hold(a_hold("fits", "0.25"), limits, None) is None
    refusal = await ledger.hold(a_hold("one more", "0.01"), limits, None)
    assert isinstance(refusal, BudgetRefusal)
    assert (refusal.budget.limit_usd, refusal.held_usd) == (Decimal("0.25"), Decimal("0.25"))
    assert isinstance(await ledger.hold(a_hold("nothing", now=NOON), [daily("0")], None), BudgetRefusal)
    tomorrow = [state.budget.limit_usd for state in await ledger.read_budgets(limits, midnight)]
    assert tomorrow == [Decimal("0.1"), Decimal(1)]
    await ledger.increase_budget("daily", Decimal("0.02"), midnight + DAY, midnight)
    assert (await other.read_budgets(limits, midnight))[0].budget.limit_usd == Decimal("0.12")
    await other.aclose()


async def test_a_row_that_was_lost_is_found(ledger: Ledger, url: str) -> None:
    await ledger.settle(None, an_attempt("call", "0.1"))
    by_hand(url, "DELETE FROM attempts")

    assert "2026-11-24, all: attempts is 0 in rows, 1 in rollups" in await ledger.find_differences()


async def test_pruning_drops_rows_and_keeps_every_sum(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.settle(None, an_attempt(str(number), "0.1", started_at=NOON - number * DAY))
    before = await ledger.summarize(since=None, until=None, session=None, group_by="day")

    dropped = await ledger.prune(NOON - DAY)

    assert dropped == 3
    assert [attempt.call_id for attempt in await ledger.read_recent(9)] == ["0", "1"]
    assert await ledger.summarize(since=None, until=None, session=None, group_by="day") == before
    assert await spent(ledger, monthly("9")) == Decimal("0.5")
    assert await ledger.find_differences() == []
    assert await ledger.prune(NOON - DAY) == 0


async def test_texts_are_their_clients_own_and_dropped_with_their_day(ledger: Ledger) -> None:
    await ledger.store_text("alice", "c1", "old", NOON - 2 * DAY)
    await ledger.store_text("alice", "c2", "first", NOON)
    await ledger.store_text("alice", "c2", "said 'again' \u00e4", NOON)

    dropped = await ledger.prune(NOON - DAY)

    assert dropped == 0
    assert await ledger.read_text("alice", "c2") == "said 'again' \u00e4"
    assert await ledger.read_text("bob", "c2") is None
    assert await ledger.read_text("alice", "c1") is None


async def test_recent_attempts_come_newest_first_a_page_at_a_time(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.settle(None, an_attempt(str(number), started_at=NOON + number))

    first = await ledger.read_recent(2)
    second = await ledger.read_recent(2, before=first[-1].started_at)

    assert [attempt.call_id for attempt in (*first, *second)] == ["4", "3", "2", "1"]


async def test_recorded_calls_come_once_each_with_all_their_attempts_paid(ledger: Ledger) -> None:
    async with anyio.create_task_group() as writers:
        for number in range(505):  # more than one chunk, many of one moment
            writers.start_soon(ledger.settle, None, an_attempt(f"{number:03}", started_at=NOON + number // 100))
    await ledger.settle(
        None, an_attempt("007", "0.2", number=2, model="qwen:c", started_at=NOON + 9, reasoning_tokens=4)
    )
    await ledger.settle(None, an_attempt("late", started_at=NOON + 100))

    calls = [call async for chunk in ledger.read_calls(NOON, NOON + 100) for call in chunk]

    assert [call.call_id for call in calls] == [f"{number:03}" for number in range(505)]
    assert calls[7] == RecordedCall(
        call_id="007",
        started_at=NOON,
        client="alice",
        use_case="analysis",
        budget_tier="premium",
        complexity="medium",
        model="qwen:c",
        why="first in its cell",
        outcome="answered",
        attempts=2,
        input_tokens=30,
        output_tokens=12,
        cache_read_tokens=None,
        cache_write_tokens=None,
        reasoning_tokens=4,
        searches=None,
        cost_usd=Decimal("0.3"),
    )


async def test_a_hold_whose_caller_hung_up_leaves_the_ledger_usable(ledger: Ledger) -> None:
    answers: list[object] = []

    async def call(name: str, scope: anyio.CancelScope) -> None:
        answers.append(await ledger.hold(a_hold(name), [daily("100")], None))
        if len(answers) == 3:
            scope.cancel()

    async with anyio.create_task_group() as calls:
        for number in range(40):
            calls.start_soon(call, f"call {number}", calls.cancel_scope)

    assert await ledger.hold(a_hold("next"), [daily("100")], None) is None
    assert await ledger.find_differences() == []


async def test_lessons_are_counted_once_by_cell_and_model_and_fade_with_the_seasons(ledger: Ledger) -> None:
    cell = {"use_case": "analysis", "budget_tier": "premium", "complexity": "medium"}
    for _ in range(2):  # repeated, as after a lost connection
        await ledger.settle(None, an_attempt("a", model="x:1"), (), OutcomeCounts(kept=1, pinned=1))
    await ledger.settle(None, an_attempt("b", model="x:1"), (), OutcomeCounts(rejected=1))
    await ledger.settle(None, an_attempt("c", model="y:2"), (), OutcomeCounts(kept=1))
    await ledger.settle(None, an_attempt("d", model="y:2"))
    await ledger.settle(None, an_attempt("e", model="z:3", started_at=NOON - 120 * DAY), (), OutcomeCounts(kept=1))

    known = await ledger.read_outcomes(NOON)
    faded = await ledger.read_outcomes(NOON + 120 * DAY)

    assert known == [
        RouteOutcomes(**cell, model="x:1", counts=OutcomeCounts(kept=1, rejected=1, pinned=1)),
        RouteOutcomes(**cell, model="y:2", counts=OutcomeCounts(kept=1)),
    ]
    assert faded == []
    assert await ledger.forget_outcomes() == 3
    assert await ledger.read_outcomes(NOON) == []
