"""Providers, their models and prices, as the vendors publish them.

Each provider is one TOML file in `providers/rows/`; `docs/extending.md` explains how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from providers.completion import Effort

Wire = Literal[
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "mistral_chat",
    "groq_chat",
    "gemini_generate",
    "embedded",
]
"""A dialect of request and answer; each is a module of `providers.wires`, or `providers.embedded`."""

Feature = Literal["vision", "pdf", "json_schema", "json_object", "web_search", "prompt_cache"]
ToolUse = Literal["yes", "unforced", "no"]
MaxTokensField = Literal["max_tokens", "max_completion_tokens"]
SchemaField = Literal["json_schema", "json_object", "none"]
ThinkingField = Literal["none", "reasoning_effort", "thinking_type", "enable_thinking", "openrouter_reasoning"]
ReportedCost = Literal["none", "usage_cost", "usage_cost_total", "usd_ticks", "copilot"]
ResponsesSchema = Literal["text", "response_format"]
ThinkingDefault = Literal["none", "off", "on", "always", "unknown"]
SearchUnit = Literal["query", "prompt"]
TrainsOnInput = Literal["yes", "no", "unknown"]
PolicyField = Literal["none", "openrouter_provider"]
CacheField = Literal["none", "options", "marks"]
TemperatureRule = Literal["yes", "not_while_thinking", "no"]

EFFORTS: tuple[Effort, ...] = ("off", "minimal", "low", "medium", "high", "xhigh", "max")


SERVICE_TIERS: Mapping[str, Decimal] = MappingProxyType(
    {"flex": Decimal("0.5"), "batch": Decimal("0.5"), "priority": Decimal(2), "fast": Decimal(2)}
)
"""OpenAI's multiples, which also bound Gemini's. https://developers.openai.com/api/docs/pricing"""


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceStep:
    """Prices for the whole request if its prompt is longer than a boundary."""

    above_input_tokens: int
    input_mtok: Decimal
    output_mtok: Decimal
    cache_read_mtok: Decimal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """US dollars per million tokens, from the day `since` (inclusive) to the day `until` (exclusive)."""

    input_mtok: Decimal
    output_mtok: Decimal
    cache_read_mtok: Decimal | None = None
    """None: cached tokens cost as much as other input."""
    cache_write_mtok: Decimal | None = None
    thinking_output_mtok: Decimal | None = None
    """The price of output while the model thinks, if it differs."""
    steps: tuple[PriceStep, ...] = ()
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thinking:
    """Control over a model's hidden reasoning."""

    default: ThinkingDefault = "none"
    off: str | None = None
    """The wire's word to switch it off (for example `none`, `disabled`, `omit`); None: it cannot be switched off."""
    efforts: tuple[Effort, ...] = ()
    """The efforts the model accepts, weakest first and without `off`; empty if it has no such levels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakHours:
    """Hours of the list prices; outside them prices are multiplied by `off_peak_multiple`."""

    hours_utc: tuple[tuple[str, str], ...]
    """Half-open spans, for example ("01:00", "04:00")."""
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    holidays: tuple[date, ...] = ()
    off_peak_multiple: Decimal = Decimal(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model at one provider."""

    provider: str
    name: str
    family: str = ""
    """The same model at several providers: members of a family substitute each other."""
    lineage: str = ""
    """Models of one maker (claude, gpt, qwen): a refusal falls back to another lineage."""
    context_window: int | None = None
    max_input: int | None = None
    max_output: int | None = None
    features: frozenset[Feature] = frozenset()
    thinking: Thinking = field(default_factory=Thinking)
    prices: tuple[Price, ...] = ()
    """Empty: the price is unknown, not zero."""
    caches_unasked: bool = False
    """True if the vendor writes prompts to its cache unasked, and bills it."""
    search_fee_usd: Decimal | None = None
    """The price of a search in US dollars, if it differs from the provider's."""
    search_unit: SearchUnit = "query"
    """What the vendor bills as a search: each query, or a prompt with any number of queries."""
    strength: int = 0
    """Our ranking of capability, 0 to 100, from the vendor's line-up (class, then generation) and list price;
    it sorts candidates and selects substitutes of equal rank.
    """
    retires: date | None = None
    deprecated: bool = False
    preview: bool = False
    only_by_name: bool = False
    """True for a model with a special purpose, such as a safety classifier: used only if a caller names it."""
    volatile_price: bool = False
    aliases: tuple[str, ...] = ()
    wire: Wire | None = None
    """The model's wire, if it differs from its provider's."""
    base_url: str = ""
    """The model's URL, if it differs from its provider's."""
    temperature: TemperatureRule = "yes"
    tools: ToolUse = "yes"
    """Whether the model calls the caller's tools; `unforced`: the vendor refuses to force a call."""
    checked: date | None = None
    """The day the price was checked."""
    source: str = ""
    note: str = ""

    @property
    def id(self) -> str:
        """Return `provider:name`, or the provider alone if the name is unknown."""
        return f"{self.provider}:{self.name}" if self.name else self.provider

    def choose_effort(self, wanted: Effort) -> Effort:
        """Return the nearest effort the model has: `off` only if thinking can be switched off,
        otherwise the weakest at or above the wanted one, or its strongest.
        """
        if self.thinking.default == "none":
            return "off"
        if (wanted == "off" and self.thinking.off is not None) or self._never_thinks_on_request():
            return "off"
        rank = EFFORTS.index(wanted)
        weakest: Effort = "low"
        able: tuple[Effort, ...] = self.thinking.efforts or (weakest,)
        for effort in able:
            if EFFORTS.index(effort) >= rank:
                return effort
        return able[-1]

    def _never_thinks_on_request(self) -> bool:
        """Return whether thinking is off by default and no level can switch it on."""
        return self.thinking.default == "off" and not self.thinking.efforts


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Web search by a provider on behalf of a model."""

    wire: Wire
    tool: str
    """The tool's name on that wire."""
    fee_usd: Decimal
    """US dollars per search, in addition to tokens."""
    bounded: bool = False
    """True if the request can limit the number of searches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalServer:
    """A program that serves models on the user's machine, with its default port."""

    name: str
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FlexTier:
    """A vendor's slower processing class at a lower price, which a request asks for by `service_tier: "flex"`."""

    multiple: Decimal
    """Its price as a multiple of the standard price."""
    refuses: bool
    """True if the vendor refuses a request that it cannot serve in this class, and never serves a dearer one."""
    models: tuple[str, ...]
    """How the names of the models that have it begin."""
    checked: date
    """The day the fact was checked."""
    source: str

    def covers(self, model: Model) -> bool:
        """Whether a model has the class."""
        return model.name.startswith(self.models)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What a provider does with prompts, as its terms say on a day. What is not stated is unknown."""

    trains_on_input: TrainsOnInput = "unknown"
    retention_days: int | None = None
    """Days for which prompts are kept, rounded up; 0: not kept; None: unknown."""
    regions: tuple[str, ...] = ()
    """Every region in which prompts can be processed; empty: unknown."""
    jurisdiction: str = ""
    """The law that its owner is under; empty: unknown. A region is not a jurisdiction."""
    checked: date | None = None
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A service with models and a key. If vendors differ in a name or a number, that is a field here;
    if they differ in behaviour, that is a wire.
    """

    name: str
    title: str
    wire: Wire
    base_url: str
    docs_url: str
    key_env: tuple[str, ...] = ()
    """Environment variables for the key, in order of precedence; empty if no key is needed."""
    key_optional: bool = False
    """True if the key may be missing: most local servers need none."""
    base_url_env: tuple[str, ...] = ()
    """The vendor's environment variables for another URL."""
    servers: tuple[LocalServer, ...] = ()
    """Local servers to probe for models."""
    max_tokens_field: MaxTokensField = "max_tokens"
    min_output_tokens: int = 0
    """The vendor refuses a lower limit of output tokens."""
    schema: SchemaField = "json_schema"
    """The request field for JSON answers; a model without the feature gets an instruction in words."""
    thinking_field: ThinkingField = "none"
    """The field for the effort on Chat Completions."""
    reasoning_outside_output: bool = False
    """True if the vendor's output count excludes reasoning, so it must be added."""
    reported_cost: ReportedCost = "none"
    """The field in which the vendor reports the cost of an answer."""
    keeps_responses: bool = False
    """True if the vendor stores answers on Responses unless the request forbids it."""
    responses_schema: ResponsesSchema = "text"
    """The field for a schema on Responses."""
    cache_field: CacheField = "none"
    """How a request controls the prompt cache on Chat Completions and Responses: `options` switches an unasked cache
    off, `marks` marks what a Claude model caches.
    """
    service_tiers: Mapping[str, Decimal] = field(default_factory=lambda: SERVICE_TIERS)
    """Prices of the processing classes that answers report, as multiples of the standard price; others cost 1."""
    flex: FlexTier | None = None
    """The flex class; None: the vendor has none, or no dated fact says so."""
    names_standard_tier: bool = False
    """True if requests name the standard class, so that a setting at the vendor's cannot choose another."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    search: Search | None = None
    peak: PeakHours | None = None
    cache_write_multiple: Decimal = Decimal(1)
    """Price of a written cache token as a multiple of an input token, unless the model has its own price."""
    data: DataFacts = DataFacts()
    policy_field: PolicyField = "none"
    """The field in which a request demands that prompts are not trained on or kept."""
    features: frozenset[Feature] = frozenset()
    """The features of models without their own, such as those that a local server lists."""
    price: Price | None = None
    """The price of models without their own; None: it is unknown."""
    retired: date | None = None
    successor: str = ""
    models: tuple[Model, ...] = ()
