"""The routing table as it is shipped, and as a user changes it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from mcp_router.errors import ConfigError
from mcp_router.routing import routes
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.prices import find_price_schedule
from mcp_router.routing.routes import TIERS, USE_CASES, RouteEntry, Tier, UseCase
from providers.catalog import Model
from providers.registry import provider_from_table

CATALOG = Catalog.with_shipped()
SHIPPED = routes.load_shipped()
PEAK = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
NEXT_WEEK = date(2026, 12, 1)
USEFUL = 20
"""Output tokens that a label needs."""

CELLS = [(use_case, tier) for use_case in USE_CASES for tier in TIERS]
ENTRIES = [(use_case, tier, entry) for use_case, tier in CELLS for entry in SHIPPED.route(use_case, tier)]
MODELS = [(use_case, tier, entry) for use_case, tier, entry in ENTRIES if entry.name is not None]


def named(value: object) -> str:
    return value.model if isinstance(value, RouteEntry) else str(value)


def test_the_tiers_cost_what_the_contract_says() -> None:
    ceilings = {tier: str(ceiling) for tier, ceiling in SHIPPED.ceilings.items()}

    assert ceilings == {
        "ultra_economy": "0.0001",
        "economy": "0.001",
        "standard": "0.01",
        "premium": "0.05",
        "enterprise": "0.50",
    }


def test_each_use_case_has_the_default_tier_of_the_contract() -> None:
    defaults = {name: row.default_tier for name, row in SHIPPED.use_cases.items()}

    assert defaults == {
        "classification": "ultra_economy",
        "code_generation": "economy",
        "conversation": "standard",
        "summarization": "standard",
        "analysis": "premium",
        "long_context": "premium",
        "web_research": "premium",
        "expert_tasks": "enterprise",
    }


def test_no_shipped_route_names_the_embedded_model_or_a_model_twice() -> None:
    routes_with_embedded = [route for route in CELLS if "embedded" in {one.provider for one in SHIPPED.route(*route)}]
    named_in = {route: [one.model for one in SHIPPED.route(*route)] for route in CELLS}
    repeating = [route for route, models in named_in.items() if len(set(models)) < len(models)]

    assert routes_with_embedded == []
    assert repeating == []


def test_first_model_of_each_default_route_is_of_the_designs_family() -> None:
    first = {name: SHIPPED.route(name, row.default_tier)[0].provider for name, row in SHIPPED.use_cases.items()}

    # Kimi, the design's choice for long context, costs 2 dollars per million tokens: a full window exceeds the ceiling.
    assert first == {
        "classification": "qwen",
        "code_generation": "deepseek",
        "conversation": "groq",
        "summarization": "gemini",
        "analysis": "claude",
        "long_context": "openai",
        "web_research": "perplexity",
        "expert_tasks": "claude",
    }


@pytest.mark.parametrize("entry", sorted({entry for *_, entry in MODELS}, key=named), ids=named)
def test_every_model_of_a_cell_is_there_and_stays(entry: RouteEntry) -> None:
    model = CATALOG.model(entry.model)

    assert model.name == entry.name
    assert model.retires is None or model.retires > NEXT_WEEK
    assert not model.deprecated
    assert model.choose_effort(entry.thinking) == entry.thinking


@pytest.mark.parametrize(("use_case", "tier", "entry"), MODELS, ids=named)
def test_every_model_of_a_cell_fits_its_tier_or_says_when_it_does(
    use_case: UseCase, tier: Tier, entry: RouteEntry
) -> None:
    model = CATALOG.model(entry.model)
    reference = SHIPPED.use_cases[use_case].typical_usage
    needed = reference.output_tokens + (reference.hidden_tokens if entry.thinking != "off" else 0)

    output = affordable(model, SHIPPED.ceilings[tier], reference.input_tokens, reference.searches)
    fits = output is not None and output >= needed

    assert fits != bool(entry.note)


@pytest.mark.parametrize(("tier", "entry"), [(tier, entry) for _, tier, entry in MODELS], ids=named)
def test_every_model_of_a_cell_is_useful_there_for_some_request(tier: Tier, entry: RouteEntry) -> None:
    model = CATALOG.model(entry.model)

    output = affordable(model, SHIPPED.ceilings[tier], 200, 0)

    assert output is not None
    assert output >= USEFUL


def affordable(model: Model, ceiling: Decimal, input_tokens: int, searches: int) -> int | None:
    asked = find_price_schedule(CATALOG.provider(model.provider), model, PEAK, PEAK + timedelta(minutes=2))
    found = None if asked is None else asked.quote(input_tokens, searches=searches, thinking=False)
    return None if found is None else found.max_output_tokens(ceiling)


def test_the_shipped_table_names_only_what_there_is() -> None:
    SHIPPED.check(CATALOG)


def test_a_users_cell_replaces_the_shipped_one_and_no_other() -> None:
    own = provider_from_table(
        "my_vllm", {"wire": "openai_chat", "base_url": "http://127.0.0.1:9/v1", "models": [{"name": "qwen3"}]}
    )
    overrides = {"classification": {"economy": ["my_vllm:qwen3", {"model": "qwen:qwen3.8-flash", "thinking": "low"}]}}

    merged = SHIPPED.merge(overrides)

    merged.check(Catalog.with_shipped([own]))
    assert merged.route("classification", "economy") == (
        RouteEntry(model="my_vllm:qwen3"),
        RouteEntry(model="qwen:qwen3.8-flash", thinking="low"),
    )
    assert [cell for cell in CELLS if merged.route(*cell) != SHIPPED.route(*cell)] == [("classification", "economy")]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"clasification": {}}, "my.toml: routes: Unknown use case: 'clasification'. Did you mean"),
        (
            {"analysis": {"cheap": ["local"]}},
            "my.toml: routes.analysis: Unknown budget tier: 'cheap'. There",
        ),
        ({"analysis": {"economy": []}}, "my.toml: routes.analysis.economy: it is empty."),
        ({"analysis": {"economy": ["nobody:x"]}}, "routes.analysis.economy[0]: Unknown provider: 'nobody'. There are"),
        ({"analysis": {"economy": ["local", "qwen:x"]}}, "routes.analysis.economy[1]: Unknown model: 'qwen:x'. There"),
        ({"analysis": {"economy": [{"modle": "local"}]}}, "my.toml: routes.analysis.economy[0].model is missing"),
        (
            {"analysis": {"economy": [{"model": "local", "think": "low"}]}},
            "think is unknown. Known keys:",
        ),
        ({"analysis": {"economy": [{"model": "local", "thinking": "deep"}]}}, "thinking = 'deep': must be one of off,"),
    ],
)
def test_a_users_table_that_cannot_be_names_the_file_the_key_and_the_names_there_are(
    overrides: dict[str, dict[str, list[str | dict[str, str]]]], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        SHIPPED.merge(overrides, file="my.toml").check(CATALOG)

    assert told in str(caught.value)


def test_a_server_of_ones_own_may_serve_models_nobody_listed() -> None:
    merged = SHIPPED.merge({"analysis": {"economy": ["local:llama3.2:3b", "groq:brand/new"]}})

    merged.check(CATALOG, unlisted={"groq"})

    assert merged.route("analysis", "economy")[0].name == "llama3.2:3b"
    with pytest.raises(ConfigError):
        merged.check(CATALOG)
