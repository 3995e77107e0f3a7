"""What each vendor refuses about a request, before it answers one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from providers.catalog import Model, Provider
from tests.vendors.refusals import Refusal, named, shaped
from tests.vendors.tool_rules import wrong_chat_tools, wrong_messages_tools

_COMPLETION_TOKENS = {"openai", "groq", "openrouter", "copilot", "grok"}
_CHAT_FIELDS = {
    *("model", "messages", "temperature", "stream", "stream_options", "response_format", "tools"),
    *("tool_choice", "parallel_tool_calls"),
    *("max_tokens", "max_completion_tokens"),
}
_THINKING_FIELDS = {
    "openai": {"reasoning_effort", "prompt_cache_options", "service_tier"},
    "copilot": {"reasoning_effort"},
    "grok": {"reasoning_effort"},
    "huggingface": {"reasoning_effort"},
    "gemini": {"reasoning_effort"},
    "groq": {"reasoning_effort", "include_reasoning"},
    "mistral": {"reasoning_effort"},
    "deepseek": {"thinking", "reasoning_effort"},
    "kimi": {"thinking", "reasoning_effort"},
    "glm": {"thinking", "reasoning_effort"},
    "qwen": {"enable_thinking", "reasoning_effort"},
    "openrouter": {"reasoning", "provider"},
}
_NO_SCHEMA = {"deepseek", "glm"}
_RESPONSES_FIELDS = {
    *("model", "input", "instructions", "max_output_tokens", "tools", "stream", "reasoning"),
    *("tool_choice", "parallel_tool_calls"),
}
_CLAUDE_FIELDS = {
    *("model", "messages", "system", "max_tokens", "thinking", "output_config", "tools", "stream", "tool_choice"),
    *("context_management", "safeguards"),
}
_GEMINI_FIELDS = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig"}
_RESPONSES_ITEMS = {"message", "function_call", "function_call_output"}
_GEMINI_CONFIG = {"maxOutputTokens", "temperature", "responseMimeType", "responseJsonSchema", "thinkingConfig"}


def objection(row: Provider, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Refusal | None:
    """The vendor's own error for a request it would refuse, or None."""
    native = "enerateContent" in path
    key = headers.get("x-goog-api-key", "") if native else headers.get("authorization", "").removeprefix("Bearer ")
    if not key or key.startswith("bad"):
        return named(row.name, "auth")
    wrong = _wrong(row, path, headers, body)
    if not wrong:
        return None
    if row.name == "copilot" and "max_tokens" in wrong:
        return named("copilot", "invalid")
    return Refusal(status=400, body=shaped(row.name, 400, wrong, "invalid_request_error"))


def _wrong(row: Provider, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> str:
    if path.split("?", maxsplit=1)[0] not in _paths(row, body):
        return f"no such path: {path}"
    model = _model(row, body, path)
    if path.endswith("/messages"):
        return _wrong_messages(model, headers, body)
    if path.endswith("/responses"):
        return _wrong_responses(row, model, body)
    if "enerateContent" in path:
        return _wrong_gemini(body)
    return _wrong_chat(row, model, body)


def _paths(row: Provider, body: dict[str, Any]) -> set[str]:
    base = urlsplit(row.base_url).path.rstrip("/")
    if row.wire == "anthropic_messages":
        return {"/v1/messages"}
    if row.name == "gemini":
        model = "" if "model" in body else ":"
        return {f"{base}/chat/completions"} if not model else _NativePaths()
    return {f"{base}/chat/completions", f"{base}/responses"}


class _NativePaths(set[str]):
    def __contains__(self, path: object) -> bool:
        return str(path).startswith("/v1beta/models/")


def _model(row: Provider, body: dict[str, Any], path: str) -> Model:
    name = body.get("model") or path.rsplit("/models/", maxsplit=1)[-1].split(":", maxsplit=1)[0]
    known = {model.name: model for model in row.models}
    return known.get(name) or Model(provider=row.name, name=str(name))


def _wrong_chat(row: Provider, model: Model, body: dict[str, Any]) -> str:
    limit = "max_completion_tokens" if row.name in _COMPLETION_TOKENS else "max_tokens"
    other = {"max_completion_tokens", "max_tokens"} - {limit}
    if other & set(body) or limit not in body:
        return f"Unsupported parameter: {', '.join(other & set(body))} (max_tokens or max_completion_tokens)"
    unknown = set(body) - _CHAT_FIELDS - _THINKING_FIELDS.get(row.name, set())
    if unknown and row.name not in {"local", "github"}:
        return f"Unknown parameter: {', '.join(sorted(unknown))}"
    if any(message["role"] not in {"system", "user", "assistant", "tool"} for message in body["messages"]):
        return "Unknown role"
    if row.name == "mistral" and "stream_options" in body:
        return "Extra inputs: stream_options"
    if row.name == "openrouter" and body[limit] < 16:
        return "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16"
    return (
        wrong_chat_tools(row, model, body)
        or _wrong_cache(model, body)
        or _wrong_temperature(row, model, body)
        or _wrong_effort(row, model, body)
        or _wrong_format(row, body)
    )


def _wrong_cache(model: Model, body: dict[str, Any]) -> str:
    options = body.get("prompt_cache_options")
    if options is None or (model.caches_unasked and options == {"mode": "explicit"}):
        return ""
    return "prompt_cache_options is not supported with this model"


def _wrong_temperature(row: Provider, model: Model, body: dict[str, Any]) -> str:
    if "temperature" not in body:
        return ""
    thinks = model.thinking.default not in {"none", "off"} and body.get("reasoning_effort") != "none"
    if row.name == "openai" and thinks:
        return "Unsupported value: 'temperature' does not support it with this model"
    if row.name == "kimi" and model.name.startswith("kimi-k3"):
        return "invalid temperature: only 1 is allowed for this model"
    return ""


def _wrong_effort(row: Provider, model: Model, body: dict[str, Any]) -> str:
    effort = body.get("reasoning_effort", (body.get("reasoning") or {}).get("effort"))
    allowed = {*model.thinking.efforts, *(["none"] if model.thinking.off else [])}
    if effort is not None and effort not in allowed:
        return f"Invalid effort: {effort}"
    if (body.get("thinking") or {}).get("type") == "disabled" and model.thinking.off != "disabled":
        return "thinking cannot be disabled for this model"
    thinks = body.get("enable_thinking") or (row.name == "qwen" and model.thinking.default in {"on", "always"})
    if thinks and body.get("enable_thinking") is not False and not body.get("stream"):
        return "enable_thinking must be set to false for non-streaming calls"
    return ""


def _wrong_format(row: Provider, body: dict[str, Any]) -> str:
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema" and row.name in _NO_SCHEMA:
        return "This response_format type is unavailable now"
    if form.get("type") == "json_schema" and form["json_schema"]["schema"].get("type") != "object":
        return "Invalid schema for response_format 'answer': schema must be a JSON Schema of 'type: \"object\"'"
    if form and row.name == "groq" and body.get("tools"):
        return "json mode cannot be combined with tools; browser_search is not compatible with response_format"
    if form.get("type") == "json_object" and "JSON" not in json.dumps(body["messages"]):
        return "Prompt must contain the word 'json'"
    return ""


def _wrong_messages(  # noqa: PLR0911 - a vendor refuses for many reasons
    model: Model, headers: Mapping[str, str], body: dict[str, Any]
) -> str:
    if headers.get("anthropic-version") != "2026-10-21":
        return "anthropic-version: unexpected"
    if "max_tokens" not in body:
        return "max_tokens: Field required"
    unknown = set(body) - _CLAUDE_FIELDS
    if unknown:
        return f"{', '.join(sorted(unknown))}: Extra inputs are not permitted"
    thinking = (body.get("thinking") or {}).get("type")
    if thinking in {"disabled", "between_tools"} and thinking != model.thinking.off:
        return f"thinking.type: {thinking} is not supported on this model"
    effort = (body.get("output_config") or {}).get("effort")
    if effort is not None and effort not in model.thinking.efforts:
        return f"output_config.effort: {effort} is not supported on this model"
    for tool in body.get("tools") or []:
        is_search = str(tool.get("type")).startswith("web_search_20") and tool.get("name") == "web_search"
        if not is_search and not (set(tool) >= {"name", "input_schema"} and "type" in tool["input_schema"]):
            return "tools.0: unknown tool"
    if wrong := wrong_messages_tools(model, body):
        return wrong
    if any(message["role"] not in {"user", "assistant"} for message in body["messages"]):
        return "messages: unexpected role"
    return ""


def _wrong_responses(row: Provider, model: Model, body: dict[str, Any]) -> str:  # noqa: PLR0911
    extra = {"response_format"} if row.name == "perplexity" else {"text", "store", "max_tool_calls", "temperature"}
    extra |= {"prompt_cache_options"} if row.name == "openai" else set()
    unknown = set(body) - _RESPONSES_FIELDS - extra
    if unknown:
        return f"Unknown parameter: {', '.join(sorted(unknown))}"
    if wrong := _wrong_cache(model, body):
        return wrong
    if any(item.get("type") not in _RESPONSES_ITEMS for item in body["input"]):
        return "input: every item needs a type"
    called = {item["call_id"] for item in body["input"] if item["type"] == "function_call"}
    if any(item["call_id"] not in called for item in body["input"] if item["type"] == "function_call_output"):
        return "No tool call found for function call output"
    if row.name != "perplexity" and body.get("store") is not False:
        return "this account keeps nothing: store must be false"
    if body["max_output_tokens"] < 16:
        return "max_output_tokens: at least 16"
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None and effort not in {*model.thinking.efforts, *(["none"] if model.thinking.off else [])}:
        return f"Invalid effort: {effort}"
    thinks = model.thinking.default not in {"none", "off"} and effort != "none"
    if "temperature" in body and row.name == "openai" and thinks:
        return "Unsupported parameter: temperature"
    return ""


def _wrong_gemini(body: dict[str, Any]) -> str:
    unknown = (set(body) - _GEMINI_FIELDS) | (set(body["generationConfig"]) - _GEMINI_CONFIG)
    if unknown:
        return f"Unknown name {', '.join(sorted(unknown))}"
    if any(content["role"] not in {"user", "model"} for content in body["contents"]):
        return "Please use a valid role: user, model."
    if any(set(tool) - {"google_search", "googleSearch", "functionDeclarations"} for tool in body.get("tools", [])):
        return "Unknown tool"
    return ""
