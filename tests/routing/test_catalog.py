"""The rows as they are shipped, a user's own rows, and names that become models."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_router.errors import ConfigError, UnknownNameError
from mcp_router.routing.access import AccessRules
from mcp_router.routing.catalog import Catalog, read_user_providers
from mcp_router.settings import Settings, load
from providers import registry
from providers.catalog import Model, Price, Provider, Thinking
from providers.registry import RowError, provider_from_table

CATALOG = Catalog.with_shipped()
MODELS = tuple(CATALOG.models())

OFF_WORDS = {
    "anthropic_messages": {"disabled", "between_tools", "omit"},
    "gemini_generate": {"0"},
    "mistral_chat": {"none", "omit"},
    "groq_chat": {"none"},
    "openai_responses": {"none"},
}
OFF_WORDS_OF_FIELD = {
    "reasoning_effort": {"none"},
    "openrouter_reasoning": {"none"},
    "thinking_type": {"disabled"},
    "enable_thinking": {"false"},
}


def test_every_provider_of_the_contract_is_shipped() -> None:
    fifteen = (
        "claude openai mistral gemini qwen deepseek kimi glm groq grok perplexity openrouter huggingface github copilot"
    )

    names = tuple(provider.name for provider in registry.load_providers())

    assert names == (*fifteen.split(), "local", "embedded")


def test_building_the_catalog_reads_no_row() -> None:
    registry.load_provider.cache_clear()

    catalog = Catalog.with_shipped()
    catalog.model("groq:openai/gpt-oss-20b")

    assert registry.load_provider.cache_info().currsize == 1


@pytest.mark.parametrize("provider", registry.load_providers(), ids=lambda provider: provider.name)
def test_a_shipped_provider_can_be_reached(provider: Provider) -> None:
    reachable = provider.base_url.startswith(("https://", "http://localhost:")) or provider.wire == "embedded"

    assert reachable
    assert provider.docs_url.startswith("https://")
    assert provider.key_env or provider.name in {"local", "embedded"}
    assert all(name.isupper() for name in (*provider.key_env, *provider.base_url_env))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_shipped_model_says_what_it_is_and_where_its_price_is_from(model: Model) -> None:
    assert model.prices
    assert model.source
    assert model.checked is not None
    assert date(2026, 10, 1) <= model.checked
    assert model.family
    assert model.lineage
    assert 1 <= model.strength <= 100
    assert model.context_window or model.provider == "perplexity"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_shipped_models_prices_follow_each_other_without_a_gap(model: Model) -> None:
    first, *later = model.prices

    assert first.since is None
    assert model.prices[-1].until is None
    assert [price.since for price in later] == [price.until for price in model.prices[:-1]]
    for price in model.prices:
        boundaries = [step.above_input_tokens for step in price.steps]
        assert boundaries == sorted(set(boundaries))
        assert price.cache_read_mtok is None or price.cache_read_mtok <= price.input_mtok
        for step in price.steps:
            assert step.input_mtok > price.input_mtok
            assert step.output_mtok > price.output_mtok


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_shipped_models_switch_is_a_word_of_its_wire(model: Model) -> None:
    provider = CATALOG.provider(model.provider)
    wire = model.wire or provider.wire

    words = OFF_WORDS.get(wire) or OFF_WORDS_OF_FIELD.get(provider.thinking_field, set())

    assert model.thinking.off is None or model.thinking.off in words
    assert model.thinking.default != "always" or model.thinking.off is None
    assert model.thinking.default != "off" or model.thinking.off is not None
    assert "web_search" not in model.features or provider.search is not None


def test_a_model_is_found_by_its_alias() -> None:
    found = CATALOG.model("mistral:mistral-small-latest")

    assert found.id == "mistral:mistral-small-2603"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("qwne:qwen-flash", "Unknown provider: 'qwne'. Did you mean qwen? There are: claude, openai, mistral,"),
        ("groq:openai/gpt-oss-12b", "Did you mean groq:openai/gpt-oss-120b or groq:openai/gpt-oss-20b"),
        ("gpt-6-luna", "A model is written provider:name; providers are claude, openai,"),
        ("openai:", "A model is written provider:name"),
    ],
)
def test_an_unknown_name_is_answered_with_the_names_there_are(name: str, told: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.model(name)

    assert told in str(caught.value)


def test_unlisted_model_is_accepted_if_it_is_pinned() -> None:
    listed = CATALOG.model_or_unlisted("groq:openai/gpt-oss-20b")
    unlisted = CATALOG.model_or_unlisted("local:llama3.2:3b")

    assert listed is CATALOG.model("groq:openai/gpt-oss-20b")
    assert unlisted == Model(provider="local", name="llama3.2:3b")
    with pytest.raises(UnknownNameError):
        CATALOG.model_or_unlisted("nobody:llama")


def test_the_same_generation_at_a_steady_price_stands_in_first() -> None:
    stand_ins = [model.id for model in CATALOG.stand_ins(CATALOG.model("deepseek:deepseek-flash"))]

    assert stand_ins[:4] == [
        "mistral:deepseek-v4-1-flash-1017",
        "huggingface:deepseek-ai/DeepSeek-V4.1-Flash-1017",
        "huggingface:deepseek-ai/DeepSeek-V4.1-Flash",
        "openrouter:deepseek/deepseek-v4.1-flash",
    ]


def test_groq_stands_in_for_qwen_but_not_for_kimi_or_glm() -> None:
    for_qwen = CATALOG.stand_ins(CATALOG.model("qwen:qwen3.7-flash"))
    for_kimi = CATALOG.stand_ins(CATALOG.model("kimi:kimi-k3.1-pro"))
    for_glm = CATALOG.stand_ins(CATALOG.model("glm:glm-5.3"))

    assert "groq:qwen/qwen3.8-27b" in [model.id for model in for_qwen]
    assert "groq" not in {model.provider for model in (*for_kimi, *for_glm)}


def test_model_is_no_substitute_for_itself() -> None:
    own = [model.id for model in MODELS for other in CATALOG.stand_ins(model) if other.provider == model.provider]

    assert own == []


def test_github_models_is_retired_and_says_what_to_use_instead() -> None:
    github = CATALOG.provider("github")

    assert github.retired == date(2026, 7, 30)
    assert "openrouter" in github.successor
    assert github.models == ()


def test_a_users_row_is_a_provider_like_any_other() -> None:
    table = {
        "wire": "openai_chat",
        "base_url": "http://10.0.0.5:8000/v1",
        "models": [{"name": "qwen3", "context_window": 32768, "input_mtok": 0, "output_mtok": 0.25}],
    }

    provider = provider_from_table("my_vllm", table)

    assert provider.models == (
        Model(
            provider="my_vllm",
            name="qwen3",
            context_window=32768,
            prices=(Price(input_mtok=Decimal(0), output_mtok=Decimal("0.25")),),
        ),
    )
    assert Catalog.with_shipped([provider]).model("my_vllm:qwen3") is provider.models[0]


def test_a_users_row_without_prices_has_unknown_prices_and_not_free_ones() -> None:
    table = {"wire": "openai_chat", "base_url": "http://10.0.0.5:8000/v1", "models": [{"name": "qwen3"}]}

    provider = provider_from_table("my_vllm", table)

    assert provider.models[0].prices == ()
    assert provider.price is None


def test_a_users_row_replaces_the_shipped_one_of_its_name() -> None:
    own = provider_from_table("github", {"wire": "openai_chat", "base_url": "http://127.0.0.1:9/v1"})

    catalog = Catalog.with_shipped([own])

    assert catalog.provider("github") is own
    assert len(catalog.providers) == len(CATALOG.providers)


GOOD: dict[str, object] = {"wire": "openai_chat", "base_url": "http://127.0.0.1:9/v1"}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"wire": "openai_chat"}, "providers.mine.base_url is missing: set a string."),
        (
            {"wire": "telnet", "base_url": "x"},
            "wire = 'telnet': must be one of openai_chat, openai_responses,",
        ),
        (GOOD | {"wires": 1}, "providers.mine.wires is unknown. Known keys: features, title, wire,"),
        (GOOD | {"key_env": "KEY"}, "providers.mine.key_env = 'KEY': must be a list."),
        (GOOD | {"models": [{"nam": "q"}]}, "providers.mine.models[0].name is missing: set a string."),
        (GOOD | {"models": [{"name": "q", "input_mtok": 1}]}, "models[0].output_mtok is missing: set a number"),
        (
            GOOD | {"models": [{"name": "q", "input_mtok": -1, "output_mtok": 1}]},
            "input_mtok = -1: must be a number",
        ),
        (
            GOOD | {"models": [{"name": "q", "input_mtok": True, "output_mtok": 1}]},
            "input_mtok = True: must be a",
        ),
        (
            GOOD | {"models": [{"name": "q", "input_mtok": float("nan"), "output_mtok": 1}]},
            "must be a number, at least 0",
        ),
        (
            GOOD | {"models": [{"name": "q", "context_window": "8k"}]},
            "context_window = '8k': must be a whole",
        ),
        (GOOD | {"models": [{"name": "q", "retires": "soon"}]}, "retires = 'soon': must be a date such as 2026-11-23"),
        (GOOD | {"models": [{"name": "q", "features": ["magic"]}]}, "features = 'magic': must be one of vision, pdf,"),
        (
            GOOD | {"models": [{"name": "q", "thinking": {"defualt": "on"}}]},
            "models[0].thinking.default is missing: set one of",
        ),
        (GOOD | {"models": [{"name": "q"}, {"name": "p", "aliases": ["q"]}]}, "model 'q' is listed twice: remove one."),
        (GOOD | {"peak": {"hours_utc": [["1", "4"]]}}, "providers.mine.peak.hours_utc = '1': must be hours such as"),
        (
            GOOD | {"models": [{"name": "q", "input_mtok": 1, "output_mtok": 1, "prices": [{}]}]},
            "prices[0].input_mtok is missing",
        ),
    ],
)
def test_a_row_that_cannot_be_names_the_key_and_what_it_may_be(table: dict[str, object], told: str) -> None:
    with pytest.raises(RowError) as caught:
        provider_from_table("mine", table)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("thinking", "wanted", "given"),
    [
        (Thinking(), "high", "off"),
        (Thinking(default="always", efforts=("low", "high")), "off", "low"),
        (Thinking(default="always", efforts=("low", "high")), "medium", "high"),
        (Thinking(default="on", off="none", efforts=("low", "high")), "off", "off"),
        (Thinking(default="on", efforts=("minimal", "high")), "max", "high"),
    ],
)
def test_a_model_gets_the_nearest_effort_it_has(thinking: Thinking, wanted: str, given: str) -> None:
    model = Model(provider="p", name="m", thinking=thinking)

    assert model.choose_effort(wanted) == given  # pyright: ignore[reportArgumentType] -- the parameters are plain strings


def configure(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return load(path, environ={"HOME": str(tmp_path), **environ})


def test_override_of_one_price_keeps_the_rest_of_the_row(tmp_path: Path) -> None:
    settings = configure(
        tmp_path,
        '[providers.groq]\nmodels = [{ name = "openai/gpt-oss-20b", output_mtok = 0.2 }]\n'
        '[providers.claude]\nmodels = [{ name = "claude-haiku-5-5", input_mtok = 0.05 }]\n',
    )

    changed = Catalog.with_shipped(read_user_providers(settings))

    for name, price in (
        ("groq:openai/gpt-oss-20b", {"output_mtok": Decimal("0.2")}),
        ("claude:claude-haiku-5-5", {"input_mtok": Decimal("0.05")}),
    ):
        shipped = CATALOG.model(name)
        expected = replace(shipped, prices=tuple(replace(each, **price) for each in shipped.prices))
        assert changed.model(name) == expected
    assert [model.name for model in changed.provider("groq").models] == [
        model.name for model in CATALOG.provider("groq").models
    ]


def test_override_of_dated_prices_keeps_their_days(tmp_path: Path) -> None:
    model = next(model for model in MODELS if len(model.prices) > 1)
    settings = configure(
        tmp_path, f'[providers.{model.provider}]\nmodels = [{{ name = "{model.name}", output_mtok = 1.5 }}]\n'
    )

    changed = Catalog.with_shipped(read_user_providers(settings)).model(model.id)

    assert changed.prices == tuple(replace(each, output_mtok=Decimal("1.5")) for each in model.prices)


def test_address_without_a_port_number_is_refused(tmp_path: Path) -> None:
    for address in ("localhost:evil", "http://localhost:evil", "localhost:99999", "http://"):
        settings = configure(tmp_path, f'[providers.local]\nbase_url = "{address}"\n')
        with pytest.raises(ConfigError, match="must be a URL such as"):
            list(read_user_providers(settings))

    settings = configure(tmp_path, "", OLLAMA_BASE_URL="localhost:evil")
    rules = AccessRules(settings=settings, catalog=CATALOG)
    assert rules.find_access(date(2026, 11, 30))["local"].reason == (
        "its address 'localhost:evil' is not a URL: write http://host:port/path"
    )
