"""Chat Completions requests as clients send them.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from mcp_router.http.v1.fields import Body, FieldError, parse_body, reject_unsupported

_NEUTRAL: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "n": (1,),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "top_p": (1,),
        "presence_penalty": (0,),
        "frequency_penalty": (0,),
        "logit_bias": ({},),
        "seed": (),
        "service_tier": ("auto", "default"),
        "modalities": (["text"],),
        "audio": (),
        "prediction": (),
        "store": (False,),
        "reasoning_effort": (),
        "verbosity": (),
        "web_search_options": (),
        "functions": ([],),
        "function_call": ("none",),
    }
)
"""Fields without support, with the values that change nothing."""
_UNUSED = ("user", "safety_identifier", "metadata", "prompt_cache_key", "prompt_cache_retention")
"""Fields that only identify the client's user or its cache: accepted, passed to no vendor, and named in the receipt."""
_MAX_TOKENS = 10_000_000
_MAX_TOOLS = 128
ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
StopText = Annotated[str, Field(min_length=1, max_length=1_000)]


class TextPart(Body):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class ImageUrl(Body):
    """An image."""

    url: str
    detail: Literal["auto"] | None = None


class ImagePart(Body):
    """A part of a user's content."""

    type: Literal["image_url"]
    image_url: ImageUrl


class InstructionMessage(Body):
    """A system message."""

    role: Literal["system", "developer"]
    content: str | list[TextPart]


class UserMessage(Body):
    """A turn of the user."""

    role: Literal["user"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]


class CalledFunction(Body):
    """The function of a call."""

    name: ToolName
    arguments: str


class FunctionCall(Body):
    """A call in an earlier answer."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class AssistantMessage(Body):
    """A turn of the model, as it came in an earlier answer."""

    role: Literal["assistant"]
    content: str | list[TextPart] | None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: list[object] | None = None
    tool_calls: Annotated[list[FunctionCall], Field(max_length=_MAX_TOOLS)] | None = None
    reasoning_content: str | None = None
    """Dropped: the router keeps what a vendor wants back."""


class ToolMessage(Body):
    """The result of a tool call."""

    role: Literal["tool"]
    tool_call_id: Annotated[str, Field(min_length=1, max_length=200)]
    content: str | list[TextPart]
    name: str | None = None


class JsonSchema(Body):
    """A schema of `response_format`."""

    name: str
    description: str | None = None
    schema_: Annotated[dict[str, object], Field(alias="schema")]
    strict: bool | None = None


class TextFormat(Body):
    """An answer in plain text."""

    type: Literal["text"]


class JsonObjectFormat(Body):
    """An answer that is any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(Body):
    """An answer that satisfies a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


class FunctionDefinition(Body):
    """A function that the model can call."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class FunctionTool(Body):
    """A tool of the client."""

    type: Literal["function"]
    function: FunctionDefinition


class ChosenFunction(Body):
    """The name in a tool choice."""

    name: ToolName


class NamedChoice(Body):
    """A choice of one tool."""

    type: Literal["function"]
    function: ChosenFunction


class StreamOptions(Body):
    """Options of a stream."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


ChatMessage = Annotated[InstructionMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]
ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class ChatBody(Body):
    """The body of a Chat Completions request."""

    model: Annotated[str, Field(min_length=1, max_length=200)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: Annotated[int, Field(gt=0, le=_MAX_TOKENS)] | None = None
    max_tokens: Annotated[int, Field(gt=0, le=_MAX_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    response_format: ResponseFormat | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=_MAX_TOOLS)] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts before which the answer is cut."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def output_tokens(self) -> int | None:
        """The limit of the answer."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


def parse_chat(given: dict[str, object]) -> tuple[ChatBody, tuple[str, ...]]:
    """Return the request, and the names of its fields that have no effect.

    Raises:
        FieldError: A field is unknown, unsupported or wrong.
    """
    unused = tuple(name for name in _UNUSED if name in given)
    known = reject_unsupported({name: value for name, value in given.items() if name not in _UNUSED}, _NEUTRAL)
    body = parse_body(ChatBody, known)
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise FieldError("max_tokens", "max_tokens and max_completion_tokens are both given: send one of them.")
    if body.stream_options is not None and not body.stream:
        raise FieldError("stream_options", "stream_options needs stream: true.")
    return body, unused
