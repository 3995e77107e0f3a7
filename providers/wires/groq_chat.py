"""Wire: Chat Completions, by the groq SDK.

https://console.groq.com/docs/api-reference
"""

from __future__ import annotations

from dataclasses import replace

from providers.catalog import Model, Provider
from providers.completion import Prompt
from providers.transport.exchange import WireAdapter
from providers.wires import openai_chat, request_options


def open_wire(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Chat Completions at exactly `<base_url>/chat/completions`: the SDK's own methods would add a path."""
    import groq  # noqa: PLC0415 - an SDK is loaded at first use of its wire
    import httpx  # noqa: PLC0415

    from providers.wires.sdk import Faults, sender  # noqa: PLC0415

    shown = key or openai_chat.KEYLESS
    client = groq.AsyncGroq(
        api_key=shown,
        base_url=base_url,
        timeout=None,
        max_retries=0,  # the router owns retries, so every attempt is counted
        default_headers={"Authorization": f"Bearer {shown}", **provider.headers},
    )
    faults = Faults(
        status=groq.APIStatusError,
        unsent=(httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL),
        cut=(groq.APIError, httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError),
    )
    send = sender(client, response=httpx.Response, faults=faults)
    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=client.close, secret=key)


def body(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """What is posted: Chat Completions, with hidden reasoning kept back and Groq's own search."""
    built = openai_chat.body(provider, model, prompt, stream)
    # Without a word Qwen models put their reasoning into the text. https://console.groq.com/docs/reasoning
    if model.thinking.default != "none" and prompt.effort != "off":
        built["include_reasoning"] = False
    search = request_options.search(provider, prompt, "groq_chat")
    if search is not None:
        built["tools"] = [{"type": search.tool}]
    return built


DIALECT = replace(openai_chat.DIALECT, body=body)
