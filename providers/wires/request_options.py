"""What every dialect asks in its own words: temperature, effort, and an answer in JSON."""

from __future__ import annotations

import base64
import json
from typing import Literal

from providers.catalog import Model, Provider, Search, Wire
from providers.completion import Attachment, Effort, Prompt
from providers.transport.payload import listed, mapping

SchemaBy = Literal["json_schema", "json_object", "words", "nothing"]

_STRICT_WORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
    *("title", "description"),
}
"""What every vendor's strict mode knows; anything else is checked by whoever asked."""


def temperature(model: Model, prompt: Prompt) -> float | None:
    """The temperature to send, or None where there is none or the model refuses it."""
    if model.temperature == "no" or (model.temperature == "not_while_thinking" and prompt.effort != "off"):
        return None
    return prompt.temperature


def dialled(model: Model, effort: Effort) -> Effort | None:
    """The effort, where this model has such a step on its dial."""
    return effort if effort in model.thinking.efforts else None


def search(provider: Provider, prompt: Prompt, wire: Wire) -> Search | None:
    """The search to offer on this wire, or None."""
    if prompt.max_searches < 1 or provider.search is None or provider.search.wire != wire:
        return None
    return provider.search


def schema_by(provider: Provider, model: Model, prompt: Prompt) -> SchemaBy:
    """How this model is asked for JSON: its vendor's own field, or words where it has none."""
    if prompt.response_schema is None:
        return "nothing"
    if provider.schema == "json_schema" and "json_schema" in model.features:
        return "json_schema"
    if provider.schema != "none" and "json_object" in model.features:
        return "json_object"
    return "words"


def system_text(prompt: Prompt, by: SchemaBy) -> str | None:
    """The system text, with the schema told in words where no field carries it."""
    if by in {"nothing", "json_schema"}:
        return prompt.system
    schema = json.dumps(prompt.response_schema, ensure_ascii=False)
    told = f"Answer with one JSON value that satisfies this JSON Schema, and with nothing else:\n{schema}"
    return f"{prompt.system}\n\n{told}" if prompt.system else told


def strict(schema: object) -> bool:
    """Whether a schema keeps to what strict modes take: closed objects, every property required, plain words."""
    node = mapping(schema)
    if not node or not set(node) <= _STRICT_WORDS:
        return False
    if node.get("type") == "object" or "properties" in node:
        names = mapping(node.get("properties"))
        if node.get("additionalProperties") is not False or set(names) != {*map(str, listed(node.get("required")))}:
            return False
    below = [
        *mapping(node.get("properties")).values(),
        *mapping(node.get("$defs")).values(),
        *listed(node.get("anyOf")),
        *([node["items"]] if "items" in node else []),
    ]
    return all(strict(part) for part in below)


def encoded(attachment: Attachment) -> str:
    """An attachment's bytes in base64."""
    return base64.b64encode(attachment.data).decode()


def data_url(attachment: Attachment) -> str:
    """An attachment as a URL that carries it."""
    return f"data:{attachment.media_type};base64,{encoded(attachment)}"


def is_image(attachment: Attachment) -> bool:
    """An image, and not a document."""
    return attachment.media_type.startswith("image/")
