"""Messages, tools and schema of a Chat Completions request in the router's own types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mcp_router.http.v1.fields import FieldError, parse_data_url
from mcp_router.http.v1.openai_request import (
    AssistantMessage,
    ChatBody,
    ImagePart,
    InstructionMessage,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedChoice,
    TextPart,
    ToolMessage,
    UserMessage,
)
from providers.completion import Attachment, Message, Tool, ToolCall, ToolOffer, ToolResult

_ANY_OBJECT: dict[str, object] = {"type": "object", "properties": {}}


@dataclass(kw_only=True, slots=True)
class _Conversation:
    """A conversation in the making."""

    system: list[str] = field(default_factory=list[str])
    turns: list[Message] = field(default_factory=list[Message])
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Names of called tools by the id of their call."""
    images: int = 0


def to_conversation(body: ChatBody) -> tuple[str | None, tuple[Message, ...]]:
    """Return the system text and the turns. A system message after the first turn stays in its place, as a user turn.

    Raises:
        FieldError: A message cannot be used.
    """
    so_far = _Conversation()
    for number, message in enumerate(body.messages):
        param = f"messages.{number}"
        match message:
            case InstructionMessage():
                _add_instruction(so_far, _join(message.content))
            case UserMessage():
                attachments = tuple(_parse_images(message.content, param, so_far.images))
                so_far.images += len(attachments)
                so_far.turns.append(Message(role="user", content=_join(message.content), attachments=attachments))
            case AssistantMessage():
                _add_answer(so_far, message, param)
            case ToolMessage():
                _add_result(so_far, message, param)
    turns = so_far.turns
    if not turns or turns[-1].role != "user":
        raise FieldError("messages", "messages: the last one must have the role user or tool.")
    if not any(turn.content.strip() or turn.attachments or turn.tool_results for turn in turns):
        raise FieldError("messages", "messages: every content is empty.")
    return "\n\n".join(so_far.system) or None, tuple(turns)


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


def to_offer(body: ChatBody, messages: Iterable[Message]) -> ToolOffer | None:
    """Return the client's tools; those of earlier calls if the request names none, since vendors want them defined.

    Raises:
        FieldError: The choice or a name does not fit the tools.
    """
    if not body.tools:
        if body.tool_choice not in (None, "none", "auto"):
            raise FieldError("tool_choice", "tool_choice needs tools.")
        return offer_called_tools(messages)
    tools = tuple(
        Tool(
            name=tool.function.name,
            description=tool.function.description or "",
            parameters=tool.function.parameters or _ANY_OBJECT,
            strict=tool.function.strict,
        )
        for tool in body.tools
    )
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise FieldError("tools", "tools: two have the same name.")
    offer = ToolOffer(tools=tools, parallel=body.parallel_tool_calls is not False)
    match body.tool_choice:
        case NamedChoice(function=chosen):
            if chosen.name not in names:
                raise FieldError("tool_choice", f"tool_choice: there is no tool {chosen.name}.")
            return replace(offer, choice="named", name=chosen.name)
        case None:
            return offer
        case choice:
            return replace(offer, choice=choice)


def offer_called_tools(messages: Iterable[Message]) -> ToolOffer | None:
    """Return an offer of the tools in a conversation's calls, of which none can be called again."""
    names = dict.fromkeys(call.name for message in messages for call in message.tool_calls)
    if not names:
        return None
    return ToolOffer(tools=tuple(Tool(name=name, parameters=_ANY_OBJECT) for name in names), choice="none")


def _add_instruction(so_far: _Conversation, text: str) -> None:
    if so_far.turns:
        so_far.turns.append(Message(role="user", content=f"<system>\n{text}\n</system>"))
    else:
        so_far.system.append(text)


def _add_answer(so_far: _Conversation, message: AssistantMessage, param: str) -> None:
    calls = tuple(
        ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
        for call in message.tool_calls or ()
    )
    if message.content is None and not calls:
        raise FieldError(f"{param}.content", f"{param}: needs content or tool_calls.")
    so_far.names |= {call.id: call.name for call in calls}
    so_far.turns.append(Message(role="assistant", content=_join(message.content or ""), tool_calls=calls))


def _add_result(so_far: _Conversation, message: ToolMessage, param: str) -> None:
    name = so_far.names.get(message.tool_call_id)
    if name is None:
        raise FieldError(f"{param}.tool_call_id", f"{param}: no earlier message has a call with this id.")
    result = ToolResult(call_id=message.tool_call_id, name=name, content=_join(message.content))
    last = so_far.turns[-1]
    if last.tool_results and not last.content:
        so_far.turns[-1] = replace(last, tool_results=(*last.tool_results, result))
    else:
        so_far.turns.append(Message(role="user", content="", tool_results=(result,)))


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
