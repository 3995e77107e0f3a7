"""Providers from TOML: the shipped rows, and those in a user's configuration."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import get_args

from providers.catalog import (
    EFFORTS,
    SERVICE_TIERS,
    CacheField,
    DataFacts,
    Feature,
    FlexTier,
    LocalServer,
    MaxTokensField,
    Model,
    PeakHours,
    PolicyField,
    Price,
    PriceStep,
    Provider,
    ReportedCost,
    ResponsesSchema,
    SchemaField,
    Search,
    SearchUnit,
    TemperatureRule,
    Thinking,
    ThinkingDefault,
    ThinkingField,
    ToolUse,
    TrainsOnInput,
    Wire,
)
from providers.completion import Effort
from providers.toml_table import RowError, Table

__all__ = ["PROVIDER_NAMES", "RowError", "load_provider", "load_providers", "provider_from_table", "read_row"]

_DISPLAY_ORDER = (
    *("claude", "openai", "mistral", "gemini", "qwen", "deepseek", "kimi", "glm", "groq", "grok", "perplexity"),
    *("openrouter", "huggingface", "github", "copilot"),
)
_DISPLAY_LAST = ("local", "embedded")

_WIRES: tuple[Wire, ...] = get_args(Wire)
_FEATURES: tuple[Feature, ...] = get_args(Feature)
_MAX_TOKENS_FIELDS: tuple[MaxTokensField, ...] = get_args(MaxTokensField)
_SCHEMA_FIELDS: tuple[SchemaField, ...] = get_args(SchemaField)
_THINKING_FIELDS: tuple[ThinkingField, ...] = get_args(ThinkingField)
_REPORTED_COSTS: tuple[ReportedCost, ...] = get_args(ReportedCost)
_RESPONSES_SCHEMAS: tuple[ResponsesSchema, ...] = get_args(ResponsesSchema)
_SEARCH_UNITS: tuple[SearchUnit, ...] = get_args(SearchUnit)
_POLICY_FIELDS: tuple[PolicyField, ...] = get_args(PolicyField)
_TRAINS_ON_INPUT: tuple[TrainsOnInput, ...] = get_args(TrainsOnInput)
_CACHE_FIELDS: tuple[CacheField, ...] = get_args(CacheField)
_THINKING_DEFAULTS: tuple[ThinkingDefault, ...] = get_args(ThinkingDefault)
_TEMPERATURE_RULES: tuple[TemperatureRule, ...] = get_args(TemperatureRule)
_TOOL_USES: tuple[ToolUse, ...] = get_args(ToolUse)
_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_EFFORT_LEVELS: tuple[Effort, ...] = EFFORTS[1:]  # `off` is a separate key


def _list_rows() -> tuple[str, ...]:
    # A new row is listed without an entry here.
    rows = {
        path.name.removesuffix(".toml")
        for path in (files("providers") / "rows").iterdir()
        if path.name.endswith(".toml")
    }
    others = sorted(rows.difference(_DISPLAY_ORDER, _DISPLAY_LAST))
    return tuple(name for name in (*_DISPLAY_ORDER, *others, *_DISPLAY_LAST) if name in rows)


PROVIDER_NAMES = _list_rows()
"""Every shipped provider, in display order."""


def load_providers() -> tuple[Provider, ...]:
    """Return every shipped provider."""
    return tuple(load_provider(name) for name in PROVIDER_NAMES)


@cache
def load_provider(name: str) -> Provider:
    """Return a shipped provider, parsed at first use."""
    return provider_from_table(name, tomllib.loads(read_row(name), parse_float=Decimal))


def load_model_tables(name: str) -> tuple[Mapping[str, object], ...]:
    """Return the tables of a shipped provider's models as they are written."""
    return tuple(tomllib.loads(read_row(name), parse_float=Decimal).get("models", ()))


def read_row(name: str) -> str:
    """Return the TOML text of a shipped provider's row."""
    return (files("providers") / "rows" / f"{name}.toml").read_text("utf-8")


def provider_from_table(name: str, table: Mapping[str, object]) -> Provider:
    """Return the provider in a TOML table, which has at least `wire` and `base_url`.

    Raises:
        RowError: A key is unknown or a value invalid; the text lists what is valid.
    """
    row = Table(f"providers.{name}", table)
    features: frozenset[Feature] = frozenset(row.words("features", _FEATURES))
    provider = Provider(
        name=name,
        title=row.text("title", name),
        wire=row.word("wire", _WIRES),
        base_url=row.text("base_url", "" if table.get("wire") == "embedded" else None),
        docs_url=row.text("docs_url", ""),
        key_env=row.texts("key_env"),
        key_optional=row.flag("key_optional"),
        base_url_env=row.texts("base_url_env"),
        servers=tuple(_parse_server(server) for server in row.tables("servers")),
        max_tokens_field=row.word("max_tokens_field", _MAX_TOKENS_FIELDS, "max_tokens"),
        min_output_tokens=row.count("min_output_tokens") or 0,
        schema=row.word("schema", _SCHEMA_FIELDS, "json_schema"),
        thinking_field=row.word("thinking_field", _THINKING_FIELDS, "none"),
        reasoning_outside_output=row.flag("reasoning_outside_output"),
        reported_cost=row.word("reported_cost", _REPORTED_COSTS, "none"),
        keeps_responses=row.flag("keeps_responses"),
        responses_schema=row.word("responses_schema", _RESPONSES_SCHEMAS, "text"),
        cache_field=row.word("cache_field", _CACHE_FIELDS, "none"),
        service_tiers=_parse_service_tiers(row.table("service_tiers")),
        flex=_parse_flex(row.table("flex")),
        headers=row.mapping("headers"),
        search=_parse_search(row.table("search")),
        peak=_parse_peak_hours(row.table("peak")),
        cache_write_multiple=_or_one(row.number("cache_write_multiple")),
        data=_parse_data_facts(row.table("data")),
        policy_field=row.word("policy_field", _POLICY_FIELDS, "none"),
        features=features,
        price=_parse_dated_price(row.table("price")),
        retired=row.day("retired"),
        successor=row.text("successor", ""),
        models=tuple(_parse_model(name, features, model) for model in row.tables("models")),
    )
    row.reject_unknown_keys()
    _check_unique_names(row, provider)
    return provider


def _parse_service_tiers(row: Table | None) -> Mapping[str, Decimal]:
    if row is None:
        return SERVICE_TIERS
    return {name: row.required_number(name) for name in row.keys()}  # noqa: SIM118 - a table is no mapping


def _parse_flex(row: Table | None) -> FlexTier | None:
    if row is None:
        return None
    checked = row.day("checked")
    if checked is None:
        raise row.error("checked", None, "the day on which the fact was checked")
    flex = FlexTier(
        multiple=row.required_number("multiple"),
        refuses=row.flag("refuses"),
        models=row.texts("models"),
        checked=checked,
        source=row.text("source"),
    )
    row.reject_unknown_keys()
    return flex


def _parse_data_facts(row: Table | None) -> DataFacts:
    if row is None:
        return DataFacts()
    facts = DataFacts(
        trains_on_input=row.word("trains_on_input", _TRAINS_ON_INPUT, "unknown"),
        retention_days=row.count("retention_days"),
        regions=row.texts("regions"),
        jurisdiction=row.text("jurisdiction", ""),
        checked=row.day("checked"),
        source=row.text("source"),
    )
    row.reject_unknown_keys()
    if facts.checked is None:
        raise row.error("checked", None, "the day on which the source said so")
    return facts


def _parse_server(row: Table) -> LocalServer:
    server = LocalServer(name=row.text("name"), port=row.count("port") or 0)
    row.reject_unknown_keys()
    return server


def _parse_model(provider: str, features: frozenset[Feature], row: Table) -> Model:
    own_features: frozenset[Feature] = frozenset(row.words("features", _FEATURES))
    model = Model(
        provider=provider,
        name=row.text("name"),
        family=row.text("family", ""),
        lineage=row.text("lineage", ""),
        context_window=row.count("context_window"),
        max_input=row.count("max_input"),
        max_output=row.count("max_output"),
        features=own_features if row.has("features") else features,
        thinking=_parse_thinking(row.table("thinking")),
        prices=_parse_prices(row),
        caches_unasked=row.flag("caches_unasked"),
        search_fee_usd=row.number("search_fee_usd"),
        search_unit=row.word("search_unit", _SEARCH_UNITS, "query"),
        strength=row.count("strength") or 0,
        retires=row.day("retires"),
        deprecated=row.flag("deprecated"),
        preview=row.flag("preview"),
        only_by_name=row.flag("only_by_name"),
        volatile_price=row.flag("volatile_price"),
        aliases=row.texts("aliases"),
        wire=row.optional_word("wire", _WIRES),
        temperature=row.word("temperature", _TEMPERATURE_RULES, "yes"),
        tools=row.word("tools", _TOOL_USES, "yes"),
        checked=row.day("checked"),
        source=row.text("source", ""),
        note=row.text("note", ""),
    )
    row.reject_unknown_keys()
    return model


def _parse_prices(row: Table) -> tuple[Price, ...]:
    """Return the price in the model's own table, or its list of dated prices."""
    dated = tuple(_parse_dated_price(price) for price in row.tables("prices"))
    keys = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "thinking_output_mtok", "steps")
    if dated and row.has(*keys):
        raise RowError(f"{row.where}: prices and input_mtok are both set: keep one of them.")
    if row.has(*keys):
        return (_parse_price(row),)
    for key in keys:  # absent keys, read so that an error about an unknown key lists them
        row.number(key)
    return tuple(price for price in dated if price is not None)


def _parse_dated_price(row: Table | None) -> Price | None:
    if row is None:
        return None
    price = _parse_price(row, since=True)
    row.reject_unknown_keys()
    return price


def _parse_price(row: Table, *, since: bool = False) -> Price:
    return Price(
        input_mtok=row.required_number("input_mtok"),
        output_mtok=row.required_number("output_mtok"),
        cache_read_mtok=row.number("cache_read_mtok"),
        cache_write_mtok=row.number("cache_write_mtok"),
        thinking_output_mtok=row.number("thinking_output_mtok"),
        steps=tuple(
            sorted((_parse_step(step) for step in row.tables("steps")), key=lambda step: step.above_input_tokens)
        ),
        since=row.day("since") if since else None,
        until=row.day("until") if since else None,
    )


def _parse_step(row: Table) -> PriceStep:
    step = PriceStep(
        above_input_tokens=int(row.required_number("above_input_tokens")),
        input_mtok=row.required_number("input_mtok"),
        output_mtok=row.required_number("output_mtok"),
        cache_read_mtok=row.number("cache_read_mtok"),
    )
    row.reject_unknown_keys()
    return step


def _parse_thinking(row: Table | None) -> Thinking:
    if row is None:
        return Thinking()
    efforts = row.words("efforts", _EFFORT_LEVELS)
    thinking = Thinking(
        default=row.word("default", _THINKING_DEFAULTS),
        off=row.optional_text("off"),
        efforts=tuple(effort for effort in _EFFORT_LEVELS if effort in efforts),
    )
    row.reject_unknown_keys()
    return thinking


def _parse_search(row: Table | None) -> Search | None:
    if row is None:
        return None
    search = Search(
        wire=row.word("wire", _WIRES),
        tool=row.text("tool"),
        fee_usd=row.required_number("fee_usd"),
        bounded=row.flag("bounded"),
    )
    row.reject_unknown_keys()
    return search


def _parse_peak_hours(row: Table | None) -> PeakHours | None:
    if row is None:
        return None
    hours = row.pairs("hours_utc")
    for hour in (hour for span in hours for hour in span):
        if not _HOUR.fullmatch(hour):
            raise row.error("hours_utc", hour, 'hours such as "01:00"')
    peak = PeakHours(
        hours_utc=hours,
        weekdays=row.numbers("weekdays", (0, 1, 2, 3, 4)),
        holidays=row.days("holidays"),
        off_peak_multiple=_or_one(row.number("off_peak_multiple")),
    )
    row.reject_unknown_keys()
    return peak


def _or_one(value: Decimal | None) -> Decimal:
    return Decimal(1) if value is None else value


def _check_unique_names(row: Table, provider: Provider) -> None:
    seen: set[str] = set()
    for model in provider.models:
        for name in (model.name, *model.aliases):
            if name in seen:
                raise RowError(f"{row.where}: model {name!r} is listed twice: remove one.")
            seen.add(name)
