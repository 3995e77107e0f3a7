"""What goes into a model and what comes out of it, whichever vendor serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from providers.catalog import Model

Effort = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a model may think before it answers; hidden thinking is billed as output."""

FinishReason = Literal["stop", "length"]
"""Why an answer ended. A refusal or a fault is an error, not a finish reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """An image or a PDF that travels with a message."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str
    attachments: tuple[Attachment, ...] = ()
    shared_chars: int = 0
    """How much of the content's beginning other calls start with too, so that caching it pays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """Everything one attempt sends to one model."""

    messages: tuple[Message, ...]
    max_output_tokens: int
    """Visible and hidden tokens together: vendors count thinking against it."""
    system: str | None = None
    temperature: float | None = None
    """Left out where the model refuses it."""
    effort: Effort = "off"
    """Already one the model has: see `Model.effort_for`."""
    response_schema: Mapping[str, object] | None = None
    max_searches: int = 0
    """How often the model may search the web; 0 offers no search."""
    shared_prefix: bool = False
    """True where other calls start with the same system text or first message, so that caching pays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What the vendor counted. Buckets are inclusive: cached and written tokens are part of
    `input_tokens`, reasoning is part of `output_tokens`, whatever the vendor's own habit.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    reported_cost_usd: Decimal | None = None
    """The cost in US dollars where the vendor says it; it wins over the price list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a vendor's rate-limit headers said; None where they were silent."""

    requests_limit: int | None = None
    requests_left: int | None = None
    requests_reset_seconds: float | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """A model's whole answer."""

    text: str
    model: str
    """The model's name as the vendor answered it."""
    finish_reason: FinishReason
    usage: Usage | None
    """None where the vendor counted nothing: the cost is then unknown."""
    citations: tuple[str, ...] = ()
    limits: Limits | None = None


OnText = Callable[[str], Awaitable[None]]


class Adapter(Protocol):
    """Speaks one wire to one provider. It never retries, never sleeps and has no timeout of its own."""

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Ask once. With `on_text` the answer is streamed to it as it comes; the whole answer is
        returned all the same. Cancelling closes the connection.

        Raises:
            ProviderError: One of `providers.errors`; nothing else comes out of a wire.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
