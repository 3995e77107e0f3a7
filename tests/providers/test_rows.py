"""Prices of the shipped rows that catalogues had wrong or missing, as the vendors publish them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from providers.catalog import Model
from providers.registry import load_providers

MODELS = {model.id: model for provider in load_providers() for model in provider.models}

PRICES = {
    "openai:gpt-6.2-sol": ("2", "10", "0.1"),
    "openai:gpt-6.2-astra": ("8", "40", "0.4"),
    "openai:gpt-5.4-mini": ("0.75", "4.5", "0.075"),
    "gemini:gemini-4-hydrogen": ("1.5", "7.5", "0.075"),
    "gemini:gemini-4-neon": ("3", "15", "0.15"),
    "gemini:gemini-3.6-flash": ("0.75", "3.75", "0.075"),
    "glm:glm-5-turbo": ("1.2", "4", "0.24"),
    "copilot:gpt-6.2-sol": ("2", "10", "0.1"),
    "copilot:gpt-6.2-astra": ("8", "40", "0.4"),
    "copilot:gemini-4-carbon": ("2", "10", "0.1"),
    "copilot:claude-fable-5.2": ("8", "40", "0.2"),
    "copilot:claude-sonnet-5": ("2", "10", "0.2"),
    "perplexity:anthropic/claude-sonnet-5-5": ("2", "10", "0.1"),
}
STEPS = {
    "openai:gpt-6.2-sol": (272_000, "4", "15", "0.2"),
    "openai:gpt-6.2-astra": (272_000, "16", "60", "0.8"),
    "perplexity:openai/gpt-6-luna": (272_000, "0.2", "0.75", "0.02"),
    "perplexity:openai/gpt-6.1-sol": (272_000, "4", "15", "0.2"),
    "perplexity:xai/grok-4.6": (200_000, "4", "12", "1"),
}


def read_price(model: Model) -> tuple[Decimal, Decimal, Decimal | None]:
    """The first price of a model: input, output, cached input."""
    price = model.prices[0]
    return price.input_mtok, price.output_mtok, price.cache_read_mtok


def test_prices_are_those_of_the_vendors() -> None:
    wanted = {name: tuple(map(Decimal, price)) for name, price in PRICES.items()}

    assert {name: read_price(MODELS[name]) for name in PRICES} == wanted


def test_long_prompt_steps_are_those_of_the_vendors() -> None:
    found = {
        name: (step.above_input_tokens, step.input_mtok, step.output_mtok, step.cache_read_mtok)
        for name in STEPS
        for step in MODELS[name].prices[0].steps
    }

    assert found == {name: (above, *map(Decimal, price)) for name, (above, *price) in STEPS.items()}


def test_every_step_has_a_cached_price_if_the_model_has_one() -> None:
    wrong = [
        model.id
        for model in MODELS.values()
        for price in model.prices
        for step in price.steps
        if price.cache_read_mtok is not None and step.cache_read_mtok is None
    ]

    assert wrong == []


def test_facts_beside_prices_are_those_of_the_vendors() -> None:
    fable = MODELS["openrouter:anthropic/claude-fable-5.2"]

    assert MODELS["mistral:mistral-large-2512"].retires == date(2027, 4, 30)
    assert MODELS["openrouter:moonshotai/kimi-k3.1-pro"].volatile_price
    assert fable.prices[0].cache_write_mtok == 10
    assert {model.search_unit for model in MODELS.values() if model.name.startswith("gemini-2.5")} == {"prompt"}
