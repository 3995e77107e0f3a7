"""Gemini's generateContent through plain httpx; only this endpoint searches the web.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from providers.catalog import Model, Provider
from providers.completion import Attachment, Completion, Message, Prompt, ToolOffer, Usage
from providers.errors import ContentFilterError
from providers.transport.error_mapping import ErrorResponse
from providers.transport.exchange import Answer, Dialect, Request, WireAdapter, limit_bytes
from providers.transport.payload import Json, deduplicate, get_path, to_count, to_list, to_mapping, to_text
from providers.transport.urls import format_url, to_gemini_native_url
from providers.wires import request_options
from providers.wires.finish_reasons import REFUSED, map_finish_reason
from providers.wires.openai_chat import NO_SIGNATURE
from providers.wires.sdk import Faults, read_events, translate_exceptions
from providers.wires.text_blocks import find_separator, join_texts
from providers.wires.tool_calls import create_call, finish_answer, parse_arguments

if TYPE_CHECKING:
    import httpx

_THINKING_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192}
"""Tokens per effort of the 2.5 models, as on the OpenAI-compatible endpoint. https://ai.google.dev/gemini-api/docs/openai"""
_MAX_THINKING_BUDGET = 24_576


def create_adapter(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for `<base_url>/models/<model>:generateContent`."""
    import httpx  # noqa: PLC0415 - load it at first use of its wire

    client = httpx.AsyncClient(
        base_url=to_gemini_native_url(base_url),
        headers={"x-goog-api-key": key or "", "content-type": "application/json", **provider.headers},
        timeout=None,  # noqa: S113 - the router owns deadlines
    )
    faults = Faults(
        status=httpx.HTTPStatusError,
        unsent=(httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL),
        cut=(httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError),
    )

    def send(request: Request) -> AbstractAsyncContextManager[Answer]:
        return _send(client, faults, request)

    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=client.aclose, secret=key)


def build_request(provider: Provider, model: Model, prompt: Prompt, _stream: bool) -> dict[str, object]:
    """Return the request body."""
    search = request_options.choose_search(provider, prompt, "gemini_generate")
    mode = request_options.choose_schema_mode(provider, model, prompt)
    config: dict[str, object] = {"maxOutputTokens": prompt.max_output_tokens, **_build_thinking(model, prompt)}
    temperature = request_options.choose_temperature(model, prompt)
    if temperature is not None:
        config["temperature"] = temperature
    if mode == "json_schema":
        config |= {"responseMimeType": "application/json", "responseJsonSchema": prompt.response_schema}
    body: dict[str, object] = {
        "contents": [_build_content(message) for message in prompt.messages],
        "generationConfig": config,
    }
    system = request_options.build_system_text(prompt, mode)
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if search is not None:
        body["tools"] = [{search.tool: {}}]
    if prompt.offer is not None:
        body |= _build_tools(prompt.offer)
    return body


def _build_thinking(model: Model, prompt: Prompt) -> dict[str, object]:
    # https://ai.google.dev/gemini-api/docs/thinking: 2.5 models take a budget, later ones a level.
    if model.thinking.default == "none":
        return {}
    if prompt.effort == "off":
        return {} if model.thinking.off is None else {"thinkingConfig": {"thinkingBudget": 0}}
    level = request_options.choose_effort_level(model, prompt.effort)
    if level and model.thinking.off is not None:
        return {"thinkingConfig": {"thinkingBudget": _THINKING_BUDGETS.get(level, _MAX_THINKING_BUDGET)}}
    return {"thinkingConfig": {"thinkingLevel": level}} if level else {}


def _build_content(message: Message) -> dict[str, object]:
    role = "user" if message.role == "user" else "model"
    results: list[dict[str, object]] = []
    for result in message.tool_results:
        response = {"error" if result.is_error else "output": result.content}
        results.append({"functionResponse": {"name": result.name, "response": response}})
    text = [{"text": message.content}] if message.content or not (results or message.tool_calls) else []
    parts = [*results, *map(_build_part, message.all_attachments), *text, *_build_calls(message)]
    return {"role": role, "parts": parts}


def _build_calls(message: Message) -> list[dict[str, object]]:
    """Return the calls with the signatures of their thinking, without which the vendor refuses them.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    signatures = to_mapping(message.thinking)
    parts: list[dict[str, object]] = []
    for number, call in enumerate(message.tool_calls):
        signature = to_text(signatures.get(call.id)) or ("" if number or signatures else NO_SIGNATURE)
        signed = {"thoughtSignature": signature} if signature else {}
        parts.append({"functionCall": {"name": call.name, "args": parse_arguments(call)}, **signed})
    return parts


def _build_tools(offer: ToolOffer) -> dict[str, object]:
    # https://ai.google.dev/api/caching#Tool
    declarations: list[dict[str, object]] = []
    for tool in offer.tools:
        about = {"description": tool.description} if tool.description else {}
        has_fields = bool(tool.parameters.get("properties")) or len(tool.parameters) > 1
        schema = {"parametersJsonSchema": tool.parameters} if has_fields else {}
        declarations.append({"name": tool.name, **about, **schema})
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
    config: dict[str, object] = {"mode": modes[offer.choice]}
    if offer.choice == "named":
        config["allowedFunctionNames"] = [offer.name]
    return {"tools": [{"functionDeclarations": declarations}], "toolConfig": {"functionCallingConfig": config}}


def _build_part(attachment: Attachment) -> dict[str, object]:
    return {"inlineData": {"mimeType": attachment.media_type, "data": request_options.to_base64(attachment)}}


def _build_path(model: Model, stream: bool) -> str:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/models/{quote(model.name, safe='')}:{verb}"


@asynccontextmanager
async def _send(client: httpx.AsyncClient, faults: Faults, request: Request) -> AsyncGenerator[Answer, None]:
    with translate_exceptions(faults):
        outgoing = client.build_request("POST", request.path, content=request.content)
        response = await client.send(outgoing, stream=True)
    try:
        url = format_url(str(response.url))
        if not response.is_success:
            with translate_exceptions(faults):
                body = b"".join([chunk async for chunk in limit_bytes(response.aiter_bytes(), request.max_bytes)])
            raise ErrorResponse(response.status_code, response.headers, body, url=url)
        yield Answer(headers=response.headers, events=read_events(response, faults, request), url=url)
    finally:
        await response.aclose()


def parse_response(_provider: Provider, model: Model, answer: Json, is_complete: bool) -> Completion:
    """Return the completion in a whole answer.

    Raises:
        ProviderError: The answer is blocked, empty or incomplete.
        ErrorResponse: The answer carries an error.
    """
    usage = parse_usage(model, answer)
    if answer.get("error"):
        raise ErrorResponse(None, {}, {"error": answer["error"]}, usage)
    if to_text(get_path(answer, "promptFeedback", "blockReason")):
        raise ContentFilterError(REFUSED, usage=usage)
    candidate = to_mapping(get_path(answer, "candidates", 0))
    content = _extract_text(candidate)
    parts = [part for part in to_list(get_path(candidate, "content", "parts")) if get_path(part, "functionCall")]
    calls = [
        create_call(to_text(get_path(part, "functionCall", "name")), get_path(part, "functionCall", "args"))
        for part in parts
    ]
    said = content or "".join(call.name for call in calls)
    finish = map_finish_reason(to_text(candidate.get("finishReason")), said, usage, is_complete=is_complete)
    signatures = {
        call.id: get_path(part, "thoughtSignature")
        for call, part in zip(calls, parts, strict=True)
        if get_path(part, "thoughtSignature")
    }
    chunks = to_list(get_path(candidate, "groundingMetadata", "groundingChunks"))
    text, finish, calls = finish_answer(content, finish, usage, calls)
    return Completion(
        text=text,
        model=to_text(answer.get("modelVersion")) or model.name,
        finish_reason=finish,
        usage=usage,
        citations=deduplicate([to_text(get_path(chunk, "web", "uri")) for chunk in chunks]),
        tool_calls=calls,
        thinking=signatures or None,
    )


def accumulate(whole: dict[str, object], chunk: Json) -> str:
    """Add a chunk to the answer so far; return the visible text it brought."""
    for name in ("error", "promptFeedback", "modelVersion"):
        if chunk.get(name):
            whole[name] = chunk[name]
    counted = to_mapping(chunk.get("usageMetadata"))
    if counted and _sum_tokens(counted) >= _sum_tokens(to_mapping(whole.get("usageMetadata"))):
        whole["usageMetadata"] = counted  # a later count of nothing does not clear a good one
    candidate = to_mapping(get_path(chunk, "candidates", 0))
    if not candidate:
        return ""
    if "candidates" not in whole:
        parts: dict[str, list[object]] = {"parts": []}
        whole["candidates"] = [{"content": parts}]
    so_far = cast("dict[str, object]", get_path(whole, "candidates", 0))
    if candidate.get("finishReason"):
        so_far["finishReason"] = candidate["finishReason"]
    so_far["groundingMetadata"] = _merge_grounding(so_far.get("groundingMetadata"), candidate.get("groundingMetadata"))
    so_far_parts = cast("list[object]", get_path(so_far, "content", "parts"))
    text = _extract_text(candidate)
    separator = find_separator(map(_get_text, reversed(so_far_parts)), text) if text else ""
    so_far_parts.extend(to_list(get_path(candidate, "content", "parts")))
    return separator + text


def _merge_grounding(before: object, after: object) -> dict[str, object]:
    """Return the longer of each list: later chunks may repeat a list or leave it out."""
    merged = dict(to_mapping(before))
    for name, value in to_mapping(after).items():
        if len(to_list(value)) >= len(to_list(merged.get(name))):
            merged[name] = value
    return merged


def _sum_tokens(counted: Json) -> int:
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    return sum(to_count(counted.get(name)) or 0 for name in names)


def parse_usage(model: Model, answer: Json) -> Usage | None:
    """Return the counted tokens: the vendor counts thoughts outside its output, tool results outside its input."""
    usage = to_mapping(answer.get("usageMetadata"))
    given = to_count(usage.get("promptTokenCount"))
    if given is None:
        return None
    thoughts = to_count(usage.get("thoughtsTokenCount")) or 0
    return Usage(
        input_tokens=given + (to_count(usage.get("toolUsePromptTokenCount")) or 0),
        output_tokens=(to_count(usage.get("candidatesTokenCount")) or 0) + thoughts,
        cache_read_tokens=to_count(usage.get("cachedContentTokenCount")) or 0,
        reasoning_tokens=thoughts,
        searches=_count_searches(model, answer),
    )


def _count_searches(model: Model, answer: Json) -> int:
    # Gemini 2.5 bills a search per prompt, Gemini 3 each query. https://ai.google.dev/gemini-api/docs/pricing
    queries = to_list(get_path(answer, "candidates", 0, "groundingMetadata", "webSearchQueries"))
    searches = sum(bool(query) for query in queries)
    return min(searches, 1) if model.search_unit == "prompt" else searches


def _extract_text(candidate: Json) -> str:
    return join_texts(map(_get_text, to_list(get_path(candidate, "content", "parts"))))


def _get_text(part: object) -> str | None:
    is_text = get_path(part, "text") is not None and not get_path(part, "thought")
    return to_text(get_path(part, "text")) if is_text else None


DIALECT = Dialect(path=_build_path, build_request=build_request, parse_response=parse_response, accumulate=accumulate)
