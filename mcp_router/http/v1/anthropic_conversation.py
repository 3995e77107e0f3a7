"""Messages and tools of a Messages request in the router's own types."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from mcp_router.files.measuring import UncountablePdfError, measure_attachment
from mcp_router.http.v1.anthropic_request import (
    Choice,
    MediaBlock,
    MessagesBody,
    TextBlock,
    ToolReference,
    ToolResultBlock,
    ToolUse,
    Turn,
)
from mcp_router.http.v1.fields import FieldError, parse_image
from mcp_router.http.v1.openai_conversation import offer_called_tools
from providers.completion import Attachment, Message, Tool, ToolCall, ToolOffer, ToolResult

_BILLING_LINE = "x-anthropic-billing-header:"
"""A line that Claude Code puts before its system text; it changes with the version, which would spoil caches."""
_PDF = "application/pdf"


@dataclass(kw_only=True, slots=True)
class _Conversation:
    """A conversation in the making."""

    turns: list[Message] = field(default_factory=list[Message])
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Names of called tools by the id of their call."""
    found: set[str] = field(default_factory=set[str])
    """Tools that the results of searches name."""
    attached: int = 0


def to_conversation(body: MessagesBody) -> tuple[str | None, tuple[Message, ...], frozenset[str]]:
    """Return the system text, the turns, and the names of deferred tools that were found; blocks on a PDF.

    Raises:
        FieldError: A message cannot be used.
    """
    so_far = _Conversation()
    for number, turn in enumerate(body.messages):
        _add_turn(so_far, turn, f"messages.{number}")
    if so_far.turns[-1].role != "user":
        raise FieldError("messages", "messages: the last one must have the role user.")
    if not any(turn.content.strip() or turn.attachments or turn.tool_results for turn in so_far.turns):
        raise FieldError("messages", "messages: every content is empty.")
    return _join_system(body.system), tuple(so_far.turns), frozenset(so_far.found)


def to_offer(body: MessagesBody, messages: Sequence[Message], found: frozenset[str]) -> ToolOffer | None:
    """Return the client's tools; a deferred one only once a search has found it.

    Raises:
        FieldError: The choice does not fit the tools.
    """
    tools = tuple(
        Tool(name=tool.name, description=tool.description or "", parameters=tool.input_schema, strict=tool.strict)
        for tool in body.tools or ()
        if not tool.defer_loading or tool.name in found
    )
    choice = body.tool_choice or Choice(type="auto")
    if not tools:
        if choice.type in ("any", "tool"):
            raise FieldError("tool_choice", "tool_choice needs tools.")
        return offer_called_tools(messages)
    offer = ToolOffer(tools=tools, parallel=not choice.disable_parallel_tool_use)
    match choice.type:
        case "tool":
            if choice.name not in [tool.name for tool in tools]:
                raise FieldError("tool_choice.name", f"tool_choice: there is no tool {choice.name}.")
            return replace(offer, choice="named", name=choice.name or "")
        case "any":
            return replace(offer, choice="required")
        case "auto" | "none":
            return replace(offer, choice=choice.type)


def _join_system(system: str | list[TextBlock] | None) -> str | None:
    texts = [system] if isinstance(system, str) else [block.text for block in system or ()]
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING_LINE)) or None


def _add_turn(so_far: _Conversation, turn: Turn, param: str) -> None:
    if isinstance(turn.content, str):
        blocks: Sequence[object] = (TextBlock(type="text", text=turn.content),)
    else:
        blocks = turn.content
    text = "\n\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    if turn.role == "system":
        so_far.turns.append(Message(role="user", content=f"<system>\n{text}\n</system>"))
        return
    calls = tuple(_to_call(block) for block in blocks if isinstance(block, ToolUse))
    so_far.names |= {call.id: call.name for call in calls}
    results = tuple(_to_result(so_far, block, param) for block in blocks if isinstance(block, ToolResultBlock))
    media = tuple(_attach(so_far, blocks, param))
    if (turn.role == "user" and calls) or (turn.role == "assistant" and (results or media)):
        raise FieldError(param, f"{param}: a block does not belong to the role {turn.role}.")
    documents, attachments = _split(media)
    content = "\n\n".join(filter(None, [*documents, text]))
    message = Message(role=turn.role, content=content, attachments=attachments, tool_calls=calls, tool_results=results)
    so_far.turns.append(message)


def _to_call(block: ToolUse) -> ToolCall:
    return ToolCall(id=block.id, name=block.name, arguments=json.dumps(block.input, ensure_ascii=False))


def _to_result(so_far: _Conversation, block: ToolResultBlock, param: str) -> ToolResult:
    name = so_far.names.get(block.tool_use_id)
    if name is None:
        raise FieldError(param, f"{param}: no earlier message has a tool_use with the id of this tool_result.")
    parts = block.content
    if parts is None or isinstance(parts, str):
        return ToolResult(call_id=block.tool_use_id, name=name, content=parts or "", is_error=bool(block.is_error))
    found = [part.tool_name for part in parts if isinstance(part, ToolReference)]
    so_far.found |= set(found)
    documents, attachments = _split(_attach(so_far, parts, param))
    texts = [part.text for part in parts if isinstance(part, TextBlock)]
    texts += [f"The tool {tool} is available now." for tool in found]
    return ToolResult(
        call_id=block.tool_use_id,
        name=name,
        content="\n\n".join([*documents, *texts]),
        is_error=bool(block.is_error),
        attachments=attachments,
    )


def _split(media: Iterable[Attachment | str]) -> tuple[list[str], tuple[Attachment, ...]]:
    """Return documents in plain text, and attachments."""
    found = list(media)
    texts = [one for one in found if isinstance(one, str)]
    return texts, tuple(one for one in found if isinstance(one, Attachment))


def _attach(so_far: _Conversation, blocks: Iterable[object], param: str) -> Iterable[Attachment | str]:
    for block in blocks:
        if not isinstance(block, MediaBlock):
            continue
        source = block.source
        if source.type == "text":
            yield f"{block.title}\n{source.data}" if block.title else source.data
            continue
        so_far.attached += 1
        if block.type == "image":
            yield parse_image(source.media_type, source.data, param=param, number=so_far.attached)
        else:
            yield _parse_pdf(block, param)


def _parse_pdf(block: MediaBlock, param: str) -> Attachment:
    if block.source.media_type != _PDF:
        raise FieldError(param, f"{param}: a document must be {_PDF} or plain text.")
    try:
        data = base64.b64decode(block.source.data, validate=True)
        return measure_attachment(block.title or "document.pdf", _PDF, data)
    except (binascii.Error, ValueError):
        raise FieldError(param, f"{param}: the document is not valid base64.") from None
    except UncountablePdfError as error:
        raise FieldError(param, f"{param}: {error}.") from None
