"""Wire: Responses, by the openai SDK; Perplexity speaks it, and others search or answer on it.

https://developers.openai.com/api/reference/resources/responses and https://docs.perplexity.ai/docs/agent-api
"""

from __future__ import annotations

from providers.catalog import Model, Provider
from providers.completion import Attachment, Effort, Message, Prompt
from providers.transport.exchange import Dialect, WireAdapter
from providers.wires import openai_chat, request_options
from providers.wires.responses_answers import fold, read

_LEAST_OUTPUT = 16
"""Fewer tokens are a 400 on this endpoint."""


def open_wire(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Responses at `<base_url>/responses`."""
    return openai_chat.opened(provider, DIALECT, key=key, base_url=base_url)


def body(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """What is posted."""
    by = request_options.schema_by(provider, model, prompt)
    built: dict[str, object] = {
        "model": model.name,
        "input": [_item(message) for message in prompt.messages],
        "max_output_tokens": max(prompt.max_output_tokens, _LEAST_OUTPUT),
        **_reasoning(model, prompt.effort),
        **_format(provider, prompt, by),
    }
    if provider.keeps_responses:
        built["store"] = False
    system = request_options.system_text(prompt, by)
    if system:
        built["instructions"] = system
    temperature = request_options.temperature(model, prompt)
    if temperature is not None:
        built["temperature"] = temperature
    search = request_options.search(provider, prompt, "openai_responses")
    if search is not None:
        built["tools"] = [{"type": search.tool}]
        if search.bounded:
            built["max_tool_calls"] = prompt.max_searches
    return {**built, "stream": True} if stream else built


def _item(message: Message) -> dict[str, object]:
    kind = "input_text" if message.role == "user" else "output_text"
    said = {"type": kind, "text": message.content}
    return {"type": "message", "role": message.role, "content": [*map(_part, message.attachments), said]}


def _part(attachment: Attachment) -> dict[str, object]:
    url = request_options.data_url(attachment)
    if request_options.is_image(attachment):
        return {"type": "input_image", "image_url": url}
    return {"type": "input_file", "filename": attachment.name, "file_data": url}


def _reasoning(model: Model, effort: Effort) -> dict[str, object]:
    if model.thinking.default == "none":
        return {}
    if effort == "off":
        return {} if model.thinking.off in {None, "omit"} else {"reasoning": {"effort": "none"}}
    level = request_options.dialled(model, effort)
    return {"reasoning": {"effort": level}} if level else {}


def _format(provider: Provider, prompt: Prompt, by: request_options.SchemaBy) -> dict[str, object]:
    if provider.responses_schema == "response_format":
        return openai_chat.response_format(prompt, by)
    if by == "json_object":
        return {"text": {"format": {"type": "json_object"}}}
    if by != "json_schema":
        return {}
    schema = prompt.response_schema
    named = {"type": "json_schema", "name": "answer", "schema": schema, "strict": request_options.strict(schema)}
    return {"text": {"format": named}}


DIALECT = Dialect(path=lambda _model, _stream: "/responses", body=body, read=read, fold=fold)
