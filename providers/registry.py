"""Reads providers from TOML: the rows shipped here, and those in a user's configuration."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from providers.catalog import (
    EFFORTS,
    Feature,
    LocalServer,
    Model,
    PeakHours,
    Price,
    Provider,
    Search,
    Step,
    Thinking,
    Wire,
)
from providers.completion import Effort
from providers.toml_table import RowError, Table

__all__ = ["NAMES", "RowError", "provider_from_table", "row_text", "shipped", "shipped_provider"]

NAMES = (
    "claude",
    "openai",
    "mistral",
    "gemini",
    "qwen",
    "deepseek",
    "kimi",
    "glm",
    "groq",
    "grok",
    "perplexity",
    "openrouter",
    "huggingface",
    "github",
    "copilot",
    "local",
    "embedded",
)
"""Every provider shipped, in the order people are shown them."""

_WIRES: tuple[Wire, ...] = get_args(Wire)
_FEATURES: tuple[Feature, ...] = get_args(Feature)
_MAX_TOKENS: tuple[Literal["max_tokens", "max_completion_tokens"], ...] = ("max_tokens", "max_completion_tokens")
_SCHEMAS: tuple[Literal["json_schema", "json_object", "none"], ...] = ("json_schema", "json_object", "none")
_THINKING_FIELDS: tuple[
    Literal["none", "reasoning_effort", "thinking_type", "enable_thinking", "openrouter_reasoning"], ...
] = ("none", "reasoning_effort", "thinking_type", "enable_thinking", "openrouter_reasoning")
_REPORTED: tuple[Literal["none", "usage_cost", "usage_cost_total", "usd_ticks", "copilot"], ...] = (
    "none",
    "usage_cost",
    "usage_cost_total",
    "usd_ticks",
    "copilot",
)
_RESPONSES_SCHEMAS: tuple[Literal["text", "response_format"], ...] = ("text", "response_format")
_DEFAULTS: tuple[Literal["none", "off", "on", "always", "unknown"], ...] = ("none", "off", "on", "always", "unknown")
_TEMPERATURES: tuple[Literal["yes", "not_while_thinking", "no"], ...] = ("yes", "not_while_thinking", "no")


_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_DIAL: tuple[Effort, ...] = EFFORTS[1:]  # `off` is a switch of its own


def shipped() -> tuple[Provider, ...]:
    """Every provider this package knows, read once."""
    return tuple(shipped_provider(name) for name in NAMES)


@cache
def shipped_provider(name: str) -> Provider:
    """One provider this package knows, read on first use."""
    return provider_from_table(name, tomllib.loads(row_text(name), parse_float=Decimal))


def row_text(name: str) -> str:
    """A shipped provider's row as it is written."""
    return (files("providers") / "rows" / f"{name}.toml").read_text("utf-8")


def provider_from_table(name: str, table: Mapping[str, object]) -> Provider:
    """A provider from its TOML table: `wire` and `base_url` at least.

    Raises:
        RowError: A key that means nothing, or a value that cannot be; the text says what may be.
    """
    row = Table(f"providers.{name}", table)
    provider = Provider(
        name=name,
        title=row.text("title", name),
        wire=row.word("wire", _WIRES),
        base_url=row.text("base_url", "" if table.get("wire") == "embedded" else None),
        docs_url=row.text("docs_url", ""),
        key_env=row.texts("key_env"),
        key_optional=row.flag("key_optional"),
        base_url_env=row.texts("base_url_env"),
        servers=tuple(_server(server) for server in row.tables("servers")),
        max_tokens_field=row.word("max_tokens_field", _MAX_TOKENS, "max_tokens"),
        schema=row.word("schema", _SCHEMAS, "json_schema"),
        thinking_field=row.word("thinking_field", _THINKING_FIELDS, "none"),
        reasoning_outside_output=row.flag("reasoning_outside_output"),
        reported_cost=row.word("reported_cost", _REPORTED, "none"),
        keeps_responses=row.flag("keeps_responses"),
        responses_schema=row.word("responses_schema", _RESPONSES_SCHEMAS, "text"),
        headers=row.mapping("headers"),
        search=_search(row.table("search")),
        peak=_peak(row.table("peak")),
        cache_write_multiple=_or_one(row.number("cache_write_multiple")),
        price=_alone(row.table("price")),
        retired=row.day("retired"),
        successor=row.text("successor", ""),
        models=tuple(_model(name, model) for model in row.tables("models")),
    )
    row.finish()
    _no_name_twice(row, provider)
    return provider


def _server(row: Table) -> LocalServer:
    server = LocalServer(name=row.text("name"), port=row.count("port") or 0)
    row.finish()
    return server


def _model(provider: str, row: Table) -> Model:
    model = Model(
        provider=provider,
        name=row.text("name"),
        family=row.text("family", ""),
        lineage=row.text("lineage", ""),
        context_window=row.count("context_window"),
        max_input=row.count("max_input"),
        max_output=row.count("max_output"),
        features=frozenset(row.words("features", _FEATURES)),
        thinking=_thinking(row.table("thinking")),
        prices=_prices(row),
        caches_unasked=row.flag("caches_unasked"),
        search_fee_usd=row.number("search_fee_usd"),
        strength=row.count("strength") or 0,
        retires=row.day("retires"),
        deprecated=row.flag("deprecated"),
        preview=row.flag("preview"),
        only_by_name=row.flag("only_by_name"),
        volatile_price=row.flag("volatile_price"),
        aliases=row.texts("aliases"),
        wire=row.maybe_word("wire", _WIRES),
        temperature=row.word("temperature", _TEMPERATURES, "yes"),
        checked=row.day("checked"),
        source=row.text("source", ""),
        note=row.text("note", ""),
    )
    row.finish()
    return model


def _prices(row: Table) -> tuple[Price, ...]:
    """One price is written into the model's own table; prices that change one day are a list."""
    dated = tuple(_alone(price) for price in row.tables("prices"))
    keys = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "thinking_output_mtok", "steps")
    if dated and row.has(*keys):
        raise RowError(f"{row.where}: say either prices or input_mtok and output_mtok, not both.")
    if row.has(*keys):
        return (_price(row),)
    for key in keys:  # none is there, but each may be: the text on an unknown key shall list them
        row.number(key)
    return tuple(price for price in dated if price is not None)


def _alone(row: Table | None) -> Price | None:
    if row is None:
        return None
    price = _price(row, since=True)
    row.finish()
    return price


def _price(row: Table, *, since: bool = False) -> Price:
    return Price(
        input_mtok=row.needed_number("input_mtok"),
        output_mtok=row.needed_number("output_mtok"),
        cache_read_mtok=row.number("cache_read_mtok"),
        cache_write_mtok=row.number("cache_write_mtok"),
        thinking_output_mtok=row.number("thinking_output_mtok"),
        steps=tuple(sorted((_step(step) for step in row.tables("steps")), key=lambda step: step.above_input_tokens)),
        since=row.day("since") if since else None,
        until=row.day("until") if since else None,
    )


def _step(row: Table) -> Step:
    step = Step(
        above_input_tokens=int(row.needed_number("above_input_tokens")),
        input_mtok=row.needed_number("input_mtok"),
        output_mtok=row.needed_number("output_mtok"),
        cache_read_mtok=row.number("cache_read_mtok"),
    )
    row.finish()
    return step


def _thinking(row: Table | None) -> Thinking:
    if row is None:
        return Thinking()
    efforts = row.words("efforts", _DIAL)
    thinking = Thinking(
        default=row.word("default", _DEFAULTS),
        off=row.maybe_text("off"),
        efforts=tuple(effort for effort in _DIAL if effort in efforts),
    )
    row.finish()
    return thinking


def _search(row: Table | None) -> Search | None:
    if row is None:
        return None
    search = Search(
        wire=row.word("wire", _WIRES),
        tool=row.text("tool"),
        fee_usd=row.needed_number("fee_usd"),
        bounded=row.flag("bounded"),
    )
    row.finish()
    return search


def _peak(row: Table | None) -> PeakHours | None:
    if row is None:
        return None
    hours = row.pairs("hours_utc")
    for hour in (hour for span in hours for hour in span):
        if not _HOUR.fullmatch(hour):
            raise row.wrong("hours_utc", hour, 'hours such as "01:00"')
    peak = PeakHours(
        hours_utc=hours,
        weekdays=row.numbers("weekdays", (0, 1, 2, 3, 4)),
        holidays=row.days("holidays"),
        off_peak_multiple=_or_one(row.number("off_peak_multiple")),
    )
    row.finish()
    return peak


def _or_one(value: Decimal | None) -> Decimal:
    return Decimal(1) if value is None else value


def _no_name_twice(row: Table, provider: Provider) -> None:
    seen: set[str] = set()
    for model in provider.models:
        for name in (model.name, *model.aliases):
            if name in seen:
                raise RowError(f"{row.where}: the model {name!r} is there twice.")
            seen.add(name)
