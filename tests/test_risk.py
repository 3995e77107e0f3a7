"""What a prompt's risk does to the choice of a model, and what it may not do."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_router import routes
from mcp_router.catalog import Catalog
from mcp_router.fit import Candidate, Need
from mcp_router.inference import infer
from mcp_router.plan import HIGH_RISK, plan
from mcp_router.routes import COMPLEXITIES, TIERS, USE_CASES, Complexity, Tier, UseCase
from mcp_router.tasks import Access, Task, World

CATALOG = Catalog.with_shipped()
SHIPPED = routes.shipped()
NAMES = sorted(set(CATALOG.providers) - {"embedded"})
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
WORDS = st.lists(st.sampled_from(["derive", "the", "bending", "moment", "of", "beams", "2", "loads"]), max_size=120)


def candidates(
    use_case: UseCase, tier: Tier, complexity: Complexity, keys: frozenset[str], risk: float
) -> tuple[Candidate, ...]:
    reference = SHIPPED.use_cases[use_case].reference
    task = Task(
        use_case=use_case,
        complexity=complexity,
        budget_tier=tier,
        risk=risk,
        ceiling_usd=SHIPPED.ceilings[tier],
        need=Need(input_tokens=reference.input_tokens, reference=reference),
    )
    access = {name: Access(reason=None if name in keys else f"no key for {name}") for name in (*NAMES, "embedded")}
    return plan(task, World(catalog=CATALOG, routes=SHIPPED, now=NOON, access=access)).candidates


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

    calm = candidates("code_generation", "economy", "simple", keys, 0.0)
    wary = candidates("code_generation", "economy", "simple", keys, HIGH_RISK)

    assert wary[0].model.strength > calm[0].model.strength
    assert wary[0].why.endswith("one step stronger, since a cheaper model may well fail at this")
    assert [one.model.id for one in wary[1:]] == [one.model.id for one in calm if one.model.id != wary[0].model.id]


@settings(deadline=None)
@given(said=WORDS, more=WORDS)
def test_a_longer_prompt_is_never_taken_to_be_less_risky(said: list[str], more: list[str]) -> None:
    assert infer(" ".join(said + more)).risk >= infer(" ".join(said)).risk
