"""Request options common to all wires: temperature, effort, search, and the answer's JSON schema."""

from __future__ import annotations

import base64
import json
from typing import Literal

from providers.catalog import Model, Provider, Search, Wire
from providers.completion import Attachment, Effort, Prompt, ToolResult
from providers.transport.payload import to_list, to_mapping

_SCHEMA_OR_TOOLS: frozenset[Wire] = frozenset({"groq_chat", "gemini_generate"})
"""Wires whose vendor accepts no schema beside tools. https://console.groq.com/docs/structured-outputs"""
SchemaMode = Literal["json_schema", "json_object", "words", "none"]
"""How JSON is requested from a model: by one of two fields, in words, or not at all."""

_STRICT_KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
    *("title", "description"),
}
"""What every vendor's strict mode supports; the router validates the rest."""


def choose_temperature(model: Model, prompt: Prompt) -> float | None:
    """Return the temperature to send, or None if there is none or the model refuses it."""
    if model.temperature == "no" or (model.temperature == "not_while_thinking" and prompt.effort != "off"):
        return None
    return prompt.temperature


def choose_effort_level(model: Model, effort: Effort) -> Effort | None:
    """Return the effort if the model has this level, otherwise None."""
    return effort if effort in model.thinking.efforts else None


def choose_search(provider: Provider, prompt: Prompt, wire: Wire) -> Search | None:
    """Return the search to offer on this wire, or None."""
    if prompt.max_searches < 1 or provider.search is None or provider.search.wire != wire:
        return None
    return provider.search


def choose_max_output_tokens(provider: Provider, prompt: Prompt) -> int:
    """Return the limit of output tokens to send."""
    return max(prompt.max_output_tokens, provider.min_output_tokens)


def choose_cached_chars(prompt: Prompt, *, has_system: bool) -> list[int]:
    """Return per message the length of the beginning to cache; without a system text the first message is shared."""
    if not prompt.shared_prefix:
        return [0] * len(prompt.messages)
    shared = [message.shared_chars for message in prompt.messages]
    if not has_system and not any(shared):
        shared[0] = len(prompt.messages[0].content)
    return shared


def build_cached_texts(content: str, cached_chars: int) -> list[dict[str, object]]:
    """Return a text as content blocks, the first of which Claude caches."""
    cached, fresh = content[:cached_chars], content[cached_chars:]
    blocks: list[dict[str, object]] = []
    if cached:
        blocks.append({"type": "text", "text": cached, "cache_control": {"type": "ephemeral"}})
    if fresh:
        blocks.append({"type": "text", "text": fresh})
    return blocks


def build_cache_options(provider: Provider, model: Model, prompt: Prompt) -> dict[str, object]:
    """Return the field that switches an unasked cache off: its writes cost more than they save a single prompt.

    https://developers.openai.com/api/docs/guides/prompt-caching
    """
    if provider.cache_field != "options" or not model.caches_unasked or prompt.shared_prefix:
        return {}
    return {"prompt_cache_options": {"mode": "explicit"}}


def choose_schema_mode(provider: Provider, model: Model, prompt: Prompt) -> SchemaMode:
    """Return how to ask this model for JSON: by its vendor's field, or in words if it has none."""
    if prompt.response_schema is None:
        return "none"
    if prompt.offer is not None and (model.wire or provider.wire) in _SCHEMA_OR_TOOLS:
        return "words"
    if prompt.schema_in_words or (prompt.max_searches and _excludes_schema(provider.search)):
        return "words"
    if provider.schema == "json_schema" and "json_schema" in model.features:
        return "json_schema"
    if provider.schema != "none" and "json_object" in model.features:
        return "json_object"
    return "words"


def _excludes_schema(search: Search | None) -> bool:
    """Return whether a search cannot be combined with a schema: Claude's cites, the others answer 400."""
    return search is not None and search.wire in {"anthropic_messages", "gemini_generate", "groq_chat"}


def build_system_text(prompt: Prompt, mode: SchemaMode) -> str | None:
    """Return the system text, with the schema in words unless a field carries it."""
    if mode in {"none", "json_schema"}:
        return prompt.system
    schema = json.dumps(prompt.response_schema, ensure_ascii=False)
    instruction = f"Answer with one JSON value that satisfies this JSON Schema, and with nothing else:\n{schema}"
    return f"{prompt.system}\n\n{instruction}" if prompt.system else instruction


def is_strict_schema(schema: object) -> bool:
    """Return whether strict modes accept a schema: closed objects, every property required, plain keywords."""
    node = to_mapping(schema)
    if not node or not set(node) <= _STRICT_KEYWORDS:
        return False
    if node.get("type") == "object" or "properties" in node:
        names = to_mapping(node.get("properties"))
        if node.get("additionalProperties") is not False or set(names) != {*map(str, to_list(node.get("required")))}:
            return False
    below = [
        *to_mapping(node.get("properties")).values(),
        *to_mapping(node.get("$defs")).values(),
        *to_list(node.get("anyOf")),
        *([node["items"]] if "items" in node else []),
    ]
    return all(is_strict_schema(part) for part in below)


def mark_error(result: ToolResult) -> str:
    """Return a tool result's text, which says that it is an error on wires that have no field for it."""
    return f"Error: {result.content}" if result.is_error else result.content


def to_base64(attachment: Attachment) -> str:
    """Return an attachment's bytes in base64."""
    return base64.b64encode(attachment.data).decode()


def to_data_url(attachment: Attachment) -> str:
    """Return an attachment as a data URL."""
    return f"data:{attachment.media_type};base64,{to_base64(attachment)}"


def is_image(attachment: Attachment) -> bool:
    """Return whether an attachment is an image; otherwise it is a document."""
    return attachment.media_type.startswith("image/")
