"""An attempt is booked as the vendor counts it, unless the count cannot be true."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from mcp_router.execution.billing import Bill, compute_bill
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import Candidate, Fit
from providers.completion import Usage

CATALOG = Catalog.with_shipped()
WORST = Decimal("0.01")
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def bill(
    usage: Usage | None, *, model: str = "openai:gpt-6-luna", text: str = "An answer.", maybe_billed: bool = True
) -> Bill:
    found = CATALOG.model(model)
    fit = Fit(
        effort="off",
        input_tokens=1_000,
        max_input_tokens=1_400,
        max_output_tokens=500,
        estimated_usd=Decimal("0.001"),
        worst_usd=WORST,
        searches=0,
    )
    candidate = Candidate(model=found, provider=CATALOG.provider(found.provider), fit=fit, why="")
    return compute_bill(candidate, usage, text=text, maybe_billed=maybe_billed, at=NOW)


def test_counts_that_cannot_be_true_are_booked_at_the_bound_with_a_warning() -> None:
    impossible = {
        "zeros": Usage(input_tokens=0, output_tokens=0),
        "no output": Usage(input_tokens=900, output_tokens=0),
        "no input": Usage(input_tokens=0, output_tokens=20),
        "negative": Usage(input_tokens=-5, output_tokens=20),
        "endless input": Usage(input_tokens=10**15, output_tokens=20),
        "endless output": Usage(input_tokens=900, output_tokens=10**15),
        "endless searches": Usage(input_tokens=900, output_tokens=20, searches=10**15),
        "endless cost": Usage(input_tokens=900, output_tokens=20, reported_cost_usd=Decimal("9e18")),
        "nothing": None,
    }

    wrong = {}
    for name, usage in impossible.items():
        found = bill(usage)
        if (found.cost_usd, found.source, found.usage) != (WORST, "bound", None) or not found.warning:
            wrong[name] = found

    assert wrong == {}


def test_warning_names_the_model_the_count_and_the_bound() -> None:
    assert bill(Usage(input_tokens=900, output_tokens=0)).warning == (
        "openai:gpt-6-luna reported 0 output tokens: booked at the most it can cost, 0.01 USD"
    )
    assert len(bill(Usage(input_tokens=9, output_tokens=9, reported_cost_usd=Decimal("1e999999"))).warning or "") < 200


def test_true_counts_are_booked_as_they_are() -> None:
    found = bill(Usage(input_tokens=1_000, output_tokens=100))

    # 1,000 x 0.1 + 100 x 0.5, per million
    assert (found.cost_usd, found.source, found.warning) == (Decimal("0.00015"), "priced", None)


def test_parts_larger_than_their_whole_are_cut() -> None:
    found = bill(Usage(input_tokens=1_000, output_tokens=100, cache_read_tokens=10**15, reasoning_tokens=10**15))

    assert found.usage is not None
    assert (found.usage.cache_read_tokens, found.usage.reasoning_tokens) == (1_000, 100)


def test_failure_that_is_not_billed_costs_nothing() -> None:
    assert bill(None, text="", maybe_billed=False).cost_usd == 0
    assert bill(None, text="").cost_usd == WORST
    assert bill(Usage(input_tokens=1_000, output_tokens=0), text="").source == "priced"


def test_reported_service_tier_sets_the_price() -> None:
    def cost(model: str, tier: str) -> Decimal | None:
        return bill(Usage(input_tokens=1_000, output_tokens=100, service_tier=tier), model=model).cost_usd

    standard = cost("openai:gpt-6-luna", "default")
    assert standard is not None
    assert cost("openai:gpt-6-luna", "flex") == standard / 2
    assert cost("openai:gpt-6-luna", "batch") == standard / 2
    assert cost("openai:gpt-6-luna", "priority") == standard * 2
    assert cost("gemini:gemini-2.5-flash", "flex") == (cost("gemini:gemini-2.5-flash", "standard") or 0) / 2
    assert cost("groq:openai/gpt-oss-20b", "flex") == cost("groq:openai/gpt-oss-20b", "")
    assert cost("claude:claude-haiku-5-5", "priority") == cost("claude:claude-haiku-5-5", "standard")
