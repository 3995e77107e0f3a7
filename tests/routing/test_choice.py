"""Which model goes first: what the caller states decides, what is inferred is trusted as far as it deserves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.classify import classify, to_conversation
from mcp_router.routing import routes
from mcp_router.routing.access import Access
from mcp_router.routing.baseline import Baseline
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import Candidate
from mcp_router.routing.order import estimate_tokens
from mcp_router.routing.plan import Plan, plan
from mcp_router.routing.request import RoutingState
from mcp_router.routing.routes import TIERS, USE_CASES, RoutingTable, Tier, UseCase

CATALOG = Catalog.with_shipped()
SHIPPED = routes.load_shipped()
PROVIDERS = tuple(name for name in CATALOG.providers if name not in {"embedded", "github", "local"})
OPUS = CATALOG.model("claude:claude-opus-5-5")
BASELINE = Baseline(provider=CATALOG.provider("claude"), model=OPUS)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

PROMPTS = (
    "Say hi to my sister.",
    "Label this ticket as bug, billing or praise: the export crashes.",
    "Write a Python function that merges two sorted lists.",
    "Summarize in one sentence: the bridge stays closed until June because of cracks in its foundations.",
    "What is the weather in Leeds tomorrow?",
    "A 58-year-old with cirrhosis has new ascites and rising creatinine: full work-up, differential and doses.",
    "Formulate the decision as an integer program with seven constraints, solve it and prove that it is optimal.",
    "word " * 8_000,
)


def state(keys: frozenset[str], table: RoutingTable = SHIPPED, down: frozenset[str] = frozenset()) -> RoutingState:
    access: dict[str, Access] = {"embedded": Access()}
    for name in CATALOG.providers:
        if name != "embedded":
            reason = None if name in keys - down else f"no access to {name}"
            access[name] = Access(reason=reason, configured=name in keys)
    return RoutingState(catalog=CATALOG, routes=table, now=NOON, access=access, baseline=BASELINE)


def planned(keys: frozenset[str] = frozenset(PROVIDERS), table: RoutingTable = SHIPPED, **given_: object) -> Plan:
    arguments = RouteArguments.model_validate(given_)
    return plan(classify(arguments, to_conversation(arguments), table, providers=CATALOG.providers), state(keys, table))


def first(made: Plan) -> str:
    return made.candidates[0].model.id


@pytest.mark.parametrize(
    ("stated", "provider"),
    [({"use_case": "conversation", "budget_tier": "standard"}, "groq"), ({"use_case": "code_generation"}, "deepseek")],
)
@pytest.mark.parametrize("prompt", PROMPTS[:7])
def test_designs_requests_go_to_the_designs_providers(stated: Mapping[str, object], provider: str, prompt: str) -> None:
    assert first(planned(prompt=prompt, **stated)).startswith(f"{provider}:")


@settings(deadline=None)
@given(use_case=st.sampled_from(USE_CASES), tier=st.sampled_from(TIERS), prompt=st.sampled_from(PROMPTS[:7]))
def test_route_order_stands_for_a_stated_use_case_but_for_one_step(use_case: UseCase, tier: Tier, prompt: str) -> None:
    made = planned(prompt=prompt, use_case=use_case, budget_tier=tier)

    route = [one.model for one in SHIPPED.route(use_case, tier)]
    tried = [one.model.id for one in made.candidates if one.model.id in route]
    in_order = sorted(tried, key=route.index)
    assert tried[1:] == [one for one in in_order if one != tried[0]] if tried else True
    if tried and tried[0] != in_order[0]:
        assert made.candidates[0].model.strength > CATALOG.model(in_order[0]).strength
        assert "one step stronger" in made.candidates[0].why


def test_stated_complexity_reorders_the_whole_route() -> None:
    simple = planned(prompt="Why?", use_case="analysis", budget_tier="standard", complexity="simple").candidates
    complex_ = planned(prompt="Why?", use_case="analysis", budget_tier="standard", complexity="complex").candidates

    costs = [one.fit.estimated_usd or Decimal(0) for one in simple]
    strengths = [one.model.strength for one in complex_]
    assert costs == sorted(costs)
    assert strengths == sorted(strengths, reverse=True)


@settings(deadline=None, max_examples=60)
@given(prompt=st.sampled_from(PROMPTS), keys=st.frozensets(st.sampled_from(PROVIDERS), min_size=1))
def test_inferred_plans_keep_their_tiers_and_half_of_the_baseline(prompt: str, keys: frozenset[str]) -> None:
    made = planned(keys, prompt=prompt)

    request = made.task
    assert request.budget_tier != "enterprise"
    sure = min(request.inferred["use_case"], request.inferred["complexity"])
    if request.budget_tier == "ultra_economy":
        assert (request.use_case, request.complexity) == ("classification", "simple")
        assert sure >= 0.8
    if request.budget_tier == "premium" and request.use_case not in {"long_context", "web_research"}:
        assert request.complexity == "complex"
        assert sure >= 0.7
    within = [_is_cheap(one, made) for one in made.candidates if one.why.startswith(request.use_case)]
    if any(within):
        assert _is_cheap(made.candidates[0], made)


def test_first_candidate_of_an_inferred_plan_costs_at_most_half_with_every_key() -> None:
    too_expensive = [
        prompt[:40] for prompt in PROMPTS if not _is_cheap(planned(prompt=prompt).candidates[0], planned(prompt=prompt))
    ]

    assert too_expensive == []


def _is_cheap(one: Candidate, made: Plan) -> bool:
    whole = BASELINE.cost_usd(estimate_tokens(one, made.task), NOON)
    assert whole is not None
    return one.fit.estimated_usd is not None and one.fit.estimated_usd <= whole / 2


@pytest.mark.parametrize("prompt", [PROMPTS[4], PROMPTS[7]])
def test_long_context_and_web_research_take_the_lowest_tier_in_which_a_model_fits(prompt: str) -> None:
    made = planned(frozenset({"claude", "openai", "perplexity"}), prompt=prompt)

    lower = TIERS[1 : TIERS.index(made.task.budget_tier)]
    assert made.candidates
    for tier in lower:
        assert (
            planned(
                frozenset({"claude", "openai", "perplexity"}),
                prompt=prompt,
                use_case=made.task.use_case,
                budget_tier=tier,
            ).candidates
            == ()
        )


def test_stated_tier_and_complexity_stand_beside_an_inferred_use_case() -> None:
    made = planned(prompt=PROMPTS[1], budget_tier="premium", complexity="complex")

    assert (made.task.budget_tier, made.task.complexity) == ("premium", "complex")
    assert set(made.task.inferred) == {"use_case"}


def test_users_route_is_never_overruled_and_fillers_come_after_it() -> None:
    own = SHIPPED.merge({"analysis": {"standard": ["mistral:ministral-3b-2512", "claude:claude-opus-5-5"]}})

    for complexity in (None, "simple", "complex"):
        made = planned(table=own, prompt=PROMPTS[6], use_case="analysis", budget_tier="standard", complexity=complexity)
        assert first(made) == "mistral:ministral-3b-2512"


@settings(deadline=None, max_examples=60)
@given(
    use_case=st.sampled_from(USE_CASES),
    tier=st.sampled_from(TIERS),
    complexity=st.sampled_from((None, "simple", "medium", "complex")),
    keys=st.frozensets(st.sampled_from(PROVIDERS), min_size=1),
)
def test_fillers_always_come_after_the_route(
    use_case: UseCase, tier: Tier, complexity: str | None, keys: frozenset[str]
) -> None:
    made = planned(keys, prompt=PROMPTS[0], use_case=use_case, budget_tier=tier, complexity=complexity)

    is_filler = ["too few models of this route" in one.why for one in made.candidates]
    assert is_filler == sorted(is_filler)
    assert "embedded" not in {one.model.provider for one in made.candidates}


def test_embedded_answers_only_without_any_configured_provider_or_where_it_is_named() -> None:
    own = SHIPPED.merge({"conversation": {"standard": ["embedded"]}})
    task = {"prompt": "Hi", "use_case": "conversation", "budget_tier": "standard"}

    alone = planned(frozenset(), **task)
    pinned = planned(model="embedded", **task)
    routed = planned(table=own, **task)
    local_is_down = plan(alone.task, state(frozenset({"local"}), down=frozenset({"local"})))

    assert [one.model.provider for one in alone.candidates] == ["embedded"]
    assert [one.model.provider for one in pinned.candidates] == ["embedded"]
    assert routed.candidates[0].model.provider == "embedded"
    assert local_is_down.candidates == ()


@pytest.mark.parametrize("use_case", USE_CASES)
def test_free_remote_models_answer_with_a_budget_of_0(use_case: UseCase) -> None:
    made = planned(prompt="Hi", use_case=use_case, max_cost_usd=0)

    assert [one.fit.worst_usd for one in made.candidates] == [0] * len(made.candidates)
    assert "embedded" not in {one.model.provider for one in made.candidates}
    assert made.candidates or use_case == "web_research"


def test_models_within_the_smallest_budget_are_planned_first() -> None:
    arguments = RouteArguments(prompt="Hi", use_case="conversation")
    request = classify(
        arguments,
        to_conversation(arguments),
        SHIPPED,
        providers=CATALOG.providers,
        budgets_usd=(Decimal(0), Decimal(5)),
    )

    assert (request.smallest_budget_usd, request.ceiling_usd) == (0, SHIPPED.ceilings["standard"])


def test_plan_says_what_was_read_what_was_guessed_and_why_this_tier() -> None:
    made = planned(
        prompt=PROMPTS[2],
        system="You are terse.",
        response_schema={"type": "object", "properties": {"code": {"type": "string"}}},
        max_output_tokens=300,
    )

    told = "\n".join(made.task.reasons)
    assert "characters of the prompt, 14 of the system text" in told
    assert 'the response schema (fields "code"), max_output_tokens 300' in told
    assert f"use case code_generation: inferred, confidence {made.task.inferred['use_case']:.2f}" in told
    assert "ultra_economy needs a simple classification at a confidence of 0.8" in told
