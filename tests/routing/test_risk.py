"""What a prompt's risk does to the choice of a model, and what it may not do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_router.routing import routes
from mcp_router.routing.access import Access
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import Candidate, Requirements
from mcp_router.routing.inference import infer
from mcp_router.routing.inference.features import read_features
from mcp_router.routing.inference.heads import load_heads
from mcp_router.routing.plan import plan
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import COMPLEXITIES, TIERS, USE_CASES, Complexity, Tier, UseCase
from mcp_router.routing.tiers import HIGH_RISK

CATALOG = Catalog.with_shipped()
SHIPPED = routes.load_shipped()
NAMES = sorted(set(CATALOG.providers) - {"embedded"})
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def candidates(
    use_case: UseCase, tier: Tier, complexity: Complexity, keys: frozenset[str], risk: float
) -> tuple[Candidate, ...]:
    reference = SHIPPED.use_cases[use_case].typical_usage
    task = RoutingRequest(
        use_case=use_case,
        complexity=complexity,
        budget_tier=tier,
        inferred={"complexity": 0.5},
        risk=risk,
        ceiling_usd=SHIPPED.ceilings[tier],
        requirements=Requirements(input_tokens=reference.input_tokens, typical_usage=reference),
    )
    access = {name: Access(reason=None if name in keys else f"no key for {name}") for name in (*NAMES, "embedded")}
    return plan(task, RoutingState(catalog=CATALOG, routes=SHIPPED, now=NOON, access=access)).candidates


@settings(deadline=None)  # a busy machine is no defect
@given(
    use_case=st.sampled_from(USE_CASES),
    tier=st.sampled_from(TIERS),
    complexity=st.sampled_from(COMPLEXITIES),
    keys=st.frozensets(st.sampled_from(NAMES), min_size=1),
    risks=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_more_risk_never_chooses_a_weaker_model_and_at_most_the_next_stronger(
    use_case: UseCase, tier: Tier, complexity: Complexity, keys: frozenset[str], risks: list[float]
) -> None:
    calm, wary = (candidates(use_case, tier, complexity, keys, risk) for risk in risks)

    assert {one.model.id for one in wary} == {one.model.id for one in calm}
    if calm:
        between = [one for one in calm if calm[0].model.strength < one.model.strength < wary[0].model.strength]
        assert wary[0].model.strength >= calm[0].model.strength
        assert between == []


def test_a_risky_task_is_asked_of_the_next_stronger_model_and_says_why() -> None:
    keys = frozenset(NAMES)

    calm = candidates("analysis", "economy", "simple", keys, 0.0)
    wary = candidates("analysis", "economy", "simple", keys, HIGH_RISK)

    assert wary[0].model.strength > calm[0].model.strength
    assert wary[0].why.endswith("one step stronger, since a cheaper model may well fail at this")
    assert [one.model.id for one in wary[1:]] == [one.model.id for one in calm if one.model.id != wary[0].model.id]


@pytest.mark.parametrize(
    ("easy", "hard"),
    [
        (
            "What is 3 + 4?",
            "A tank holds 90 litres, a third more than another; if both leak 2 litres a day, when is half left?",
        ),
        ("Say hello to my sister.", "Prove that no integer solution exists if n is more than twice a prime."),
        (
            "Which organ pumps blood?\nA. heart\nB. lung\nC. liver",
            "Which dose is due?\nA. 2.5 mg\nB. 12.5 mg\nC. 20 mg",
        ),
        (
            "Write a function that adds two numbers.",
            "Write a function that adds two numbers, unless more than half are missing.",
        ),
    ],
)
def test_more_steps_and_figures_are_a_greater_risk(easy: str, hard: str) -> None:
    assert infer(hard).risk > infer(easy).risk


def test_nothing_that_is_counted_makes_a_prompt_less_risky() -> None:
    weights = {name: weight for name, (_, _, weight) in load_heads().risk.items()}

    assert min(weights.values()) > 0, weights


def test_the_size_of_a_question_is_its_own_not_that_of_its_options() -> None:
    asked = "Which of these is a noble gas?\n"
    short = read_features(f"{asked}A. argon\nB. oxygen\nC. iron\n").counts
    long = read_features(f"{asked}A. argon{' gas' * 40}\nB. oxygen{' too' * 40}\nC. iron\n").counts

    assert (long["asked_words"], long["asked_chars"]) == (short["asked_words"], short["asked_chars"])
    assert short["asked_words"] == len(asked.split())


def test_numbers_and_conditions_of_code_are_no_quantities() -> None:
    code = "def f(n):\n    if n > 2:\n        return f(n - 1) + f(n - 2);\n    return 1;\n"

    assert (read_features(code).counts["quantities"], read_features(code).counts["relations"]) == (0.0, 0.0)
