"""Chat Completions requests as clients send them.

https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from mcp_router.http.v1.fields import Body, FieldError, parse_body, parse_data_url, reject_unsupported
from providers.completion import Attachment, Message

_NEUTRAL: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "n": (1,),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "top_p": (1,),
        "presence_penalty": (0,),
        "frequency_penalty": (0,),
        "logit_bias": ({},),
        "stop": ([],),
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
        "tools": ([],),
        "tool_choice": ("auto", "none"),
        "parallel_tool_calls": (True, False),
    }
)
"""Fields without support, with the values that change nothing."""
_UNUSED = ("user", "safety_identifier", "metadata", "prompt_cache_key", "prompt_cache_retention")
"""Fields that only identify the client's user or its cache: accepted, passed to no vendor, and named in the receipt."""
_MAX_TOKENS = 10_000_000


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


class AssistantMessage(Body):
    """A turn of the model, as it came in an earlier answer."""

    role: Literal["assistant"]
    content: str | list[TextPart]
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: list[object] | None = None
    tool_calls: Annotated[list[object], Field(max_length=0)] | None = None


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


class StreamOptions(Body):
    """Options of a stream."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


ChatMessage = Annotated[InstructionMessage | UserMessage | AssistantMessage, Field(discriminator="role")]
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


def to_conversation(body: ChatBody) -> tuple[str | None, tuple[Message, ...]]:
    """Return the system text and the turns. A system message after the first turn stays in its place, as a user turn.

    Raises:
        FieldError: A message cannot be used.
    """
    system: list[str] = []
    turns: list[Message] = []
    images = 0
    for number, message in enumerate(body.messages):
        param = f"messages.{number}"
        if message.role in ("system", "developer"):
            text = _join(message.content)
            if turns:
                turns.append(Message(role="user", content=f"<system>\n{text}\n</system>"))
            else:
                system.append(text)
            continue
        attachments = list(_parse_images(message.content, param, images))
        images += len(attachments)
        role: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
        turns.append(Message(role=role, content=_join(message.content), attachments=tuple(attachments)))
    if not turns or turns[-1].role != "user":
        raise FieldError("messages", "messages: the last one must have the role user.")
    if not any(turn.content.strip() or turn.attachments for turn in turns):
        raise FieldError("messages", "messages: every content is empty.")
    return "\n\n".join(system) or None, tuple(turns)


def to_schema(body: ChatBody) -> dict[str, object] | None:
    """Return the JSON Schema that the answer must satisfy; its name and description become part of it."""
    match body.response_format:
        case JsonObjectFormat():
            return {"type": "object"}
        case JsonSchemaFormat(json_schema=named):
            words = {"title": named.name, **({"description": named.description} if named.description else {})}
            return {**words, **named.schema_}
        case _:
            return None


def _join(content: str | Iterable[TextPart | ImagePart]) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(part.text for part in content if isinstance(part, TextPart))


def _parse_images(content: str | Iterable[TextPart | ImagePart], param: str, before: int) -> Iterable[Attachment]:
    if isinstance(content, str):
        return
    for number, part in enumerate(content):
        if isinstance(part, ImagePart):
            before += 1
            where = f"{param}.content.{number}.image_url.url"
            yield parse_data_url(part.image_url.url, param=where, number=before)
