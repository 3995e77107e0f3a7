"""What there is to ask: providers and their models, as the vendors publish them.

One TOML file a provider in `providers/rows/`; `docs/extending.md` tells how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
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
"""A dialect of request and answer; each is a module of this package."""

Feature = Literal["vision", "pdf", "json_schema", "json_object", "web_search", "prompt_cache"]

EFFORTS: tuple[Effort, ...] = ("off", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Other prices for the whole request once its prompt is longer than a boundary."""

    above_input_tokens: int
    input_mtok: Decimal
    output_mtok: Decimal
    cache_read_mtok: Decimal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """US dollars per million tokens, from one day until another (that day excluded)."""

    input_mtok: Decimal
    output_mtok: Decimal
    cache_read_mtok: Decimal | None = None
    """None: cached tokens cost what fresh ones do, as far as anyone knows."""
    cache_write_mtok: Decimal | None = None
    thinking_output_mtok: Decimal | None = None
    """Where output costs more while the model thinks."""
    steps: tuple[Step, ...] = ()
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thinking:
    """How a model's hidden reasoning behaves."""

    default: Literal["none", "off", "on", "always", "unknown"] = "none"
    off: str | None = None
    """The word that switches it off on this model's wire (say `none`, `disabled`, `omit`); None: it cannot be."""
    efforts: tuple[Effort, ...] = ()
    """The efforts it takes, weakest first and without `off`; empty where there is no such dial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakHours:
    """When list prices hold; outside them they are multiplied by `off_peak_multiple`."""

    hours_utc: tuple[tuple[str, str], ...]
    """Half-open spans such as ("01:00", "04:00")."""
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    holidays: tuple[date, ...] = ()
    off_peak_multiple: Decimal = Decimal(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model at one provider."""

    provider: str
    name: str
    family: str = ""
    """Kinship across providers: models of one family stand in for each other."""
    lineage: str = ""
    """The house it comes from (claude, gpt, qwen): a refusal is tried on another one."""
    context_window: int | None = None
    max_input: int | None = None
    max_output: int | None = None
    features: frozenset[Feature] = frozenset()
    thinking: Thinking = field(default_factory=Thinking)
    prices: tuple[Price, ...] = ()
    """Empty: the price is unknown, which is not free."""
    caches_unasked: bool = False
    """True where the vendor writes prompts into its cache although nobody asked, and bills it."""
    search_fee_usd: Decimal | None = None
    """Where a search costs something else than the provider's usual fee."""
    strength: int = 0
    """Our own order of how much a model can do, 0 to 100, read off the vendor's line-up (class, then
    generation) and its list price; used to sort, and to find a stand-in of the same standing.
    """
    retires: date | None = None
    deprecated: bool = False
    preview: bool = False
    only_by_name: bool = False
    """Made for one purpose, such as a safety classifier: only asked by who names it."""
    volatile_price: bool = False
    aliases: tuple[str, ...] = ()
    wire: Wire | None = None
    """Where this model needs another wire than its provider's."""
    base_url: str = ""
    """Where it is served, where that is not its provider's address."""
    temperature: Literal["yes", "not_while_thinking", "no"] = "yes"
    checked: date | None = None
    """The day the price was checked."""
    source: str = ""
    note: str = ""

    @property
    def id(self) -> str:
        """`provider:name`, as everybody writes it; the provider alone while nobody knows the name."""
        return f"{self.provider}:{self.name}" if self.name else self.provider

    def effort_for(self, wanted: Effort) -> Effort:
        """The nearest effort this model really has: `off` only where thinking can be switched off,
        otherwise the weakest at or above what is wanted, or its strongest.
        """
        if self.thinking.default == "none":
            return "off"
        if wanted == "off" and self.thinking.off is not None:
            return "off"
        rank = EFFORTS.index(wanted)
        weakest: Effort = "low"
        able: tuple[Effort, ...] = self.thinking.efforts or (weakest,)
        for effort in able:
            if EFFORTS.index(effort) >= rank:
                return effort
        return able[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How a provider searches the web for a model."""

    wire: Wire
    tool: str
    """The name of the tool to offer on that wire."""
    fee_usd: Decimal
    """US dollars a search, beside the tokens."""
    bounded: bool = False
    """True where the number of searches can be limited in the request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalServer:
    """A program that serves models on one's own machine, at this port unless it is told otherwise."""

    name: str
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """Who serves models and whose key is used. A difference between vendors that is a name or a number
    is a field here; one that is behaviour is a wire.
    """

    name: str
    title: str
    wire: Wire
    base_url: str
    docs_url: str
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold the key, first one first; empty where none is needed."""
    key_optional: bool = False
    """True where most servers need none, but one that does finds it in these variables."""
    base_url_env: tuple[str, ...] = ()
    """The vendor's own variables that point elsewhere."""
    servers: tuple[LocalServer, ...] = ()
    """Who may answer on this machine, where that has to be found out."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    schema: Literal["json_schema", "json_object", "none"] = "json_schema"
    """How an answer in JSON is asked for; a model without the feature is asked in words."""
    thinking_field: Literal["none", "reasoning_effort", "thinking_type", "enable_thinking", "openrouter_reasoning"] = (
        "none"
    )
    """Where the effort travels on Chat Completions."""
    reasoning_outside_output: bool = False
    """True where the vendor's output count leaves reasoning out, so that it must be added."""
    reported_cost: Literal["none", "usage_cost", "usage_cost_total", "usd_ticks", "copilot"] = "none"
    keeps_responses: bool = False
    """True where answers on Responses are kept at the vendor's unless it is told not to."""
    responses_schema: Literal["text", "response_format"] = "text"
    """Where a schema travels on Responses."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    search: Search | None = None
    peak: PeakHours | None = None
    cache_write_multiple: Decimal = Decimal(1)
    """A written cache token costs this many times an input token where no price says otherwise."""
    price: Price | None = None
    """What any model costs here that states no price of its own; None: that price is unknown."""
    retired: date | None = None
    successor: str = ""
    models: tuple[Model, ...] = ()
