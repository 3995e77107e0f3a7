"""Reads prices out of public catalogues: genai-prices, models.dev, litellm, OpenRouter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import cast

import httpx

from providers.catalog import Provider

MTOK = Decimal(1_000_000)

_GENAI_PRICES = {
    "claude": "anthropic",
    "gemini": "google",
    "kimi": "moonshotai",
    "glm": "zai",
    "grok": "x-ai",
    "copilot": "github-copilot",
    "qwen": "",
    "huggingface": "",
}
_MODELS_DEV = {
    "anthropic": "claude",
    "google": "gemini",
    "alibaba": "qwen",
    "moonshotai": "kimi",
    "zai": "glm",
    "xai": "grok",
    "github-copilot": "copilot",
}
_LITELLM = {
    "anthropic": "claude",
    "dashscope": "qwen",
    "moonshot": "kimi",
    "zai": "glm",
    "xai": "grok",
    "github_copilot": "copilot",
}


class ListingError(Exception):
    """A catalogue could not be read; the text says which and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """What one catalogue says of one model, in US dollars per million tokens; None where it is silent."""

    provider: str
    name: str
    input_mtok: Decimal
    output_mtok: Decimal
    cache_read_mtok: Decimal | None
    source: str


def from_genai_prices(providers: tuple[Provider, ...], at: datetime) -> list[Listed]:
    """Return the prices of our models in the installed genai-prices package at a moment.

    Raises:
        ListingError: The package is not installed.
    """
    try:
        import genai_prices  # noqa: PLC0415 -- a developer's package, not one of the program's
    except ImportError as exc:
        raise ListingError("genai-prices is not installed: pip install genai-prices") from exc
    found: list[Listed] = []
    for provider in providers:
        theirs = _GENAI_PRICES.get(provider.name, provider.name)
        for model in provider.models if theirs else ():
            asked = (
                genai_prices.Usage(input_tokens=1_000),
                genai_prices.Usage(output_tokens=1_000),
                genai_prices.Usage(input_tokens=1_000, cache_read_tokens=1_000),
            )
            try:
                fresh, output, cached = (
                    1_000
                    * genai_prices.calc_price(
                        usage, model.name, provider_id=theirs, genai_request_timestamp=at
                    ).total_price
                    for usage in asked
                )
            except LookupError:
                continue
            # They charge cached tokens as fresh ones where they know no price.
            known = (fresh, output, None if cached == fresh else cached)
            found += _listed(f"genai-prices {genai_prices.__version__}", provider.name, model.name, known)
    return found


def from_address(address: str) -> list[Listed]:
    """Return the prices of a catalog in a file or at a URL; its shape identifies it.

    Raises:
        ListingError: It cannot be read, or is none of the shapes we know.
    """
    try:
        text = (
            httpx.get(address, timeout=30, follow_redirects=True).raise_for_status().text
            if address.startswith(("http://", "https://"))
            else Path(address).read_text("utf-8")
        )
        document: object = json.loads(text, parse_float=Decimal)
    except (OSError, httpx.HTTPError, ValueError) as exc:
        raise ListingError(f"{address}: it cannot be read: {exc}") from exc
    return list(_read(_table(document), address))


def _read(document: Mapping[str, object], address: str) -> Iterator[Listed]:
    if isinstance(document.get("data"), list):
        yield from _openrouter(cast("list[object]", document["data"]))
        return
    rows = [_table(row) for row in document.values()]
    if any("litellm_provider" in row for row in rows):
        yield from _litellm(document)
    elif any("models" in row for row in rows):
        yield from _models_dev(document)
    else:
        raise ListingError(f"{address}: this is not the JSON of models.dev, litellm or OpenRouter.")


def _openrouter(rows: list[object]) -> Iterator[Listed]:
    """https://openrouter.ai/docs/api/api-reference/models/get-models"""  # noqa: D415 -- a page
    for row in map(_table, rows):
        pricing = _table(row.get("pricing"))
        yield from _listed(
            "openrouter.ai",
            "openrouter",
            row.get("id"),
            (
                _per_token(pricing.get("prompt")),
                _per_token(pricing.get("completion")),
                _per_token(pricing.get("input_cache_read")),
            ),
        )


def _litellm(document: Mapping[str, object]) -> Iterator[Listed]:
    """https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json"""  # noqa: D415 -- a page
    for key, row in ((key, _table(row)) for key, row in document.items()):
        theirs = str(row.get("litellm_provider", ""))
        yield from _listed(
            "litellm",
            _LITELLM.get(theirs, theirs),
            key.removeprefix(f"{theirs}/"),
            (
                _per_token(row.get("input_cost_per_token")),
                _per_token(row.get("output_cost_per_token")),
                _per_token(row.get("cache_read_input_token_cost")),
            ),
        )


def _models_dev(document: Mapping[str, object]) -> Iterator[Listed]:
    """https://models.dev/api.json"""  # noqa: D415 -- a page
    for theirs, provider in document.items():
        for name, model in _table(_table(provider).get("models")).items():
            cost = _table(_table(model).get("cost"))
            yield from _listed(
                "models.dev",
                _MODELS_DEV.get(theirs, theirs),
                name,
                (_number(cost.get("input")), _number(cost.get("output")), _number(cost.get("cache_read"))),
            )


def _listed(
    source: str, provider: str, name: object, prices: tuple[Decimal | None, Decimal | None, Decimal | None]
) -> Iterator[Listed]:
    fresh, output, cached = prices
    if isinstance(name, str) and fresh is not None and output is not None:
        yield Listed(
            provider=provider,
            name=name,
            input_mtok=fresh,
            output_mtok=output,
            cache_read_mtok=cached,
            source=source,
        )


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}  # JSON has no other keys


def _per_token(value: object) -> Decimal | None:
    found = _number(value)
    return None if found is None else found * MTOK


def _number(value: object) -> Decimal | None:
    if not isinstance(value, int | float | str | Decimal) or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None
