"""Chat Completions through the groq SDK.

https://console.groq.com/docs/api-reference
"""

from __future__ import annotations

from dataclasses import replace

from providers.catalog import Model, Provider
from providers.completion import Prompt
from providers.transport.exchange import WireAdapter
from providers.wires import openai_chat, request_options


def create_adapter(provider: Provider, *, key: str | None, base_url: str) -> WireAdapter:
    """Create an adapter for exactly `<base_url>/chat/completions`: the SDK's methods would add a path."""
    import groq  # noqa: PLC0415 - load an SDK at first use of its wire
    import httpx  # noqa: PLC0415

    from providers.wires.sdk import Faults, create_sender, drop_environment_headers, reject_error_response  # noqa: PLC0415

    bearer = key or openai_chat.NO_KEY
    client = groq.AsyncGroq(
        api_key=bearer,
        base_url=base_url,
        http_client=groq.DefaultAsyncHttpxClient(
            timeout=None, follow_redirects=False, event_hooks={"response": [reject_error_response]}
        ),
        timeout=None,
        max_retries=0,  # the router owns retries, so that it counts every attempt
        default_headers={"Authorization": f"Bearer {bearer}", **provider.headers},
    )
    drop_environment_headers(client, provider, owner="groq")
    faults = Faults(
        status=groq.APIStatusError,
        unsent=(httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL),
        cut=(groq.APIError, httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError),
    )
    send = create_sender(client, response=httpx.Response, faults=faults)
    return WireAdapter(provider=provider, dialect=DIALECT, send=send, close=client.close, secret=key)


def build_request(provider: Provider, model: Model, prompt: Prompt, stream: bool) -> dict[str, object]:
    """Return the request body, with reasoning left out and Groq's own search."""
    body = openai_chat.build_request(provider, model, prompt, stream)
    # By default Qwen models write their reasoning into the text. https://console.groq.com/docs/reasoning
    if model.thinking.default != "none" and prompt.effort != "off":
        body["include_reasoning"] = False
    search = request_options.choose_search(provider, prompt, "groq_chat")
    if search is not None:
        body["tools"] = [{"type": search.tool}]
    return body


DIALECT = replace(openai_chat.DIALECT, build_request=build_request)
