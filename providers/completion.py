"""A model's input and output, independent of vendor and wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Effort = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a model may think before it answers. Vendors bill hidden thinking as output."""

FinishReason = Literal["stop", "length", "tool_calls"]
"""Why an answer ended: at its natural end, at a limit, or to call tools. A refusal or failure is an error instead."""

ToolChoice = Literal["auto", "none", "required", "named"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """An image or a PDF sent with a message."""

    name: str
    media_type: str
    data: bytes
    width: int = field(default=0, compare=False)
    """Pixels of an image; 0 if unknown."""
    height: int = field(default=0, compare=False)
    pages: int = field(default=1, compare=False)
    """Of a PDF."""
    text_characters: int = field(default=0, compare=False)
    """Characters on all pages of a PDF, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool of the caller, which a model can ask it to run."""

    name: str
    description: str = ""
    parameters: Mapping[str, object]
    """The JSON Schema of the arguments, an object."""
    strict: bool | None = None
    """Whether the arguments must satisfy the schema; None leaves it to the vendor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolOffer:
    """The tools that a model can call in its answer."""

    tools: tuple[Tool, ...]
    choice: ToolChoice = "auto"
    name: str = ""
    """The tool that must be called if the choice is `named`."""
    parallel: bool = True
    """Whether one answer can call several tools."""

    @property
    def is_forced(self) -> bool:
        """Return whether the model must call a tool."""
        return self.choice in ("required", "named")


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A model's request to run a tool."""

    id: str
    name: str
    arguments: str
    """JSON text of an object, as the model wrote it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    """What came out of a tool call."""

    call_id: str
    name: str
    content: str
    is_error: bool = False
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str
    attachments: tuple[Attachment, ...] = ()
    shared_chars: int = 0
    """The length of the beginning that other calls share, so that caching it saves money."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's turn; they follow its text."""
    tool_results: tuple[ToolResult, ...] = ()
    """Of a user's turn; they precede its text."""
    thinking: object = None
    """The vendor's own record of the thinking before tool calls, if the model that wrote it wants it back."""

    @property
    def all_attachments(self) -> tuple[Attachment, ...]:
        """Return the attachments, those of tool results first."""
        return (*(item for result in self.tool_results for item in result.attachments), *self.attachments)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return every text of the turn."""
        calls = (text for call in self.tool_calls for text in (call.id, call.name, call.arguments))
        results = (text for result in self.tool_results for text in (result.call_id, result.name, result.content))
        return (*results, self.content, *calls)


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeOptions:
    """What a client of Anthropic's API asks of Anthropic's models; no other vendor gets it."""

    fields: Mapping[str, object]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """The input of one attempt."""

    messages: tuple[Message, ...]
    max_output_tokens: int
    """The limit of visible and hidden tokens together: vendors count thinking against it."""
    system: str | None = None
    temperature: float | None = None
    """Left out of the request if the model refuses it."""
    effort: Effort = "off"
    """An effort the model has: see `Model.choose_effort`."""
    response_schema: Mapping[str, object] | None = None
    schema_in_words: bool = False
    """True if the vendor's field for a schema cannot carry this one."""
    is_schema_wrapped: bool = False
    """True if the schema is that of an object around the wanted value: see `providers.wires.schema_wrapper`."""
    max_searches: int = 0
    """The most web searches the model may make; 0 offers no search."""
    shared_prefix: bool = False
    """True if other calls start with the same system text or first message, so that caching saves money."""
    offer: ToolOffer | None = None
    """The caller's tools."""
    native: NativeOptions | None = None
    service_tier: str = ""
    """The processing class to ask for, `flex`; empty for the standard one."""
    denies_training: bool = False
    """True if the request demands that it is not trained on, where the vendor has a field for that."""
    denies_retention: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens counted by the vendor. Buckets are inclusive for every vendor: `input_tokens` contains cached and
    written tokens, `output_tokens` contains reasoning.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    service_tier: str = ""
    """The processing class that the vendor reports, for example `flex` or `priority`; empty if it reports none."""
    reported_cost_usd: Decimal | None = None
    """The cost in US dollars if the vendor reports it; it overrides the price list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """A vendor's rate limits from its response headers; None if a header is missing."""

    requests_limit: int | None = None
    requests_left: int | None = None
    requests_reset_seconds: float | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """A model's complete answer."""

    text: str
    model: str
    """The model's name in the vendor's answer."""
    finish_reason: FinishReason
    usage: Usage | None
    """None if the vendor reported none: the cost is unknown."""
    citations: tuple[str, ...] = ()
    limits: Limits | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: object = None
    """The vendor's own record of its thinking, to be sent back with the results of these calls."""


class _Restart(str):
    """An empty piece of text, so that a consumer that only joins pieces can ignore it."""

    __slots__ = ()


RESTART = _Restart()
"""A mark among the pieces of a stream: the answer starts over, discard the pieces before it. Compare with `is`."""

OnText = Callable[[str], Awaitable[None]]
"""Receives an answer's text piece by piece, and `RESTART`."""
