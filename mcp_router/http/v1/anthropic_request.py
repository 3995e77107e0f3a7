"""Messages requests as clients send them.

https://platform.claude.com/docs/en/api/messages and https://code.claude.com/docs/en/llm-gateway
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mcp_router.http.v1.fields import FieldError, parse_body, reject_unsupported
from providers.transport.payload import to_list, to_mapping

_MAX_TOKENS = 10_000_000
_MAX_TOOLS = 512
_NEUTRAL: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {"top_p": (1,), "top_k": (), "container": (), "mcp_servers": ([],), "service_tier": ("auto", "standard_only")}
)
"""Fields without support, with the values that change nothing."""
_FOR_CLAUDE = ("thinking", "context_management", "safeguards")
"""Fields that go to Anthropic's own models, and to no others."""


class Part(BaseModel):
    """A part of a body; fields that clients add to it, such as `cache_control`, have no effect."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class TextBlock(Part):
    """A text."""

    type: Literal["text"]
    text: str


class Source(Part):
    """The data of an image or a document."""

    type: Literal["base64", "text"]
    media_type: str
    data: str


class MediaBlock(Part):
    """An image or a document."""

    type: Literal["image", "document"]
    source: Source
    title: str | None = None


class ToolReference(Part):
    """A tool that a search has found."""

    type: Literal["tool_reference"]
    tool_name: str


class ToolUse(Part):
    """A tool call of an earlier answer."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1, max_length=200)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: dict[str, object]


ResultBlock = Annotated[TextBlock | MediaBlock | ToolReference, Field(discriminator="type")]


class ToolResultBlock(Part):
    """The result of a tool call."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1, max_length=200)]
    content: str | list[ResultBlock] | None = None
    is_error: bool | None = None


class Thought(Part):
    """Thinking of an earlier answer; the router keeps what a vendor wants back."""

    type: Literal["thinking", "redacted_thinking"]


Block = Annotated[TextBlock | MediaBlock | ToolUse | ToolResultBlock | Thought, Field(discriminator="type")]


class Turn(Part):
    """A message."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class ToolDefinition(Part):
    """A tool of the client."""

    type: Literal["custom"] | None = None
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    description: str | None = None
    input_schema: dict[str, object]
    strict: bool | None = None
    defer_loading: bool | None = None


class Choice(Part):
    """How tools are chosen."""

    type: Literal["auto", "any", "none", "tool"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputFormat(Part):
    """The schema of the answer."""

    type: Literal["json_schema"]
    schema_: Annotated[dict[str, object], Field(alias="schema")]


class OutputConfig(Part):
    """Options of the answer."""

    effort: str | None = None
    format: OutputFormat | None = None


class MessagesBody(Part):
    """The body of a Messages request."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    max_tokens: Annotated[int, Field(gt=0, le=_MAX_TOKENS)]
    messages: Annotated[list[Turn], Field(min_length=1, max_length=10_000)]
    system: str | list[TextBlock] | None = None
    stream: bool = False
    temperature: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None
    tools: Annotated[list[ToolDefinition], Field(max_length=_MAX_TOOLS)] | None = None
    tool_choice: Choice | None = None
    output_config: OutputConfig | None = None
    thinking: dict[str, object] | None = None
    context_management: dict[str, object] | None = None
    safeguards: object = None


def parse_messages(given: dict[str, object]) -> tuple[MessagesBody, tuple[str, ...]]:
    """Return the request, and the names of its fields that have no effect: `metadata` and unknown ones.

    Raises:
        FieldError: A field is unsupported or wrong.
    """
    known = reject_unsupported(given, _NEUTRAL)
    _reject_server_tools(known.get("tools"))
    unused = tuple(sorted(name[:100] for name in known if name not in MessagesBody.model_fields))
    return parse_body(MessagesBody, known), unused


def list_native_fields(body: MessagesBody) -> dict[str, object]:
    """Return the fields that only Anthropic's models have, as they came."""
    fields: dict[str, object] = {name: value for name in _FOR_CLAUDE if (value := getattr(body, name)) is not None}
    if body.output_config is not None and body.output_config.effort is not None:
        fields["output_config"] = {"effort": body.output_config.effort}
    return fields


def _reject_server_tools(tools: object) -> None:
    for number, tool in enumerate(to_list(tools)):
        if to_mapping(tool).get("type") not in (None, "custom"):
            raise FieldError(f"tools.{number}.type", f"tools.{number}: only the client's own tools are supported.")
