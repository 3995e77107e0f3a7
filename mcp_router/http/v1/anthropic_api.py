"""`POST /v1/messages`, for every client that speaks Anthropic's API."""

from __future__ import annotations

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcp_router.app import App
from mcp_router.errors import RouterError
from mcp_router.execution.call import new_call_id
from mcp_router.http.responses import json_response
from mcp_router.http.v1.anthropic_answer import AnthropicFormat
from mcp_router.http.v1.anthropic_conversation import to_conversation, to_offer
from mcp_router.http.v1.anthropic_request import MessagesBody, list_native_fields, parse_messages
from mcp_router.http.v1.chat_response import ChatResponse
from mcp_router.http.v1.errors import anthropic_response, classify_error
from mcp_router.http.v1.fields import read_json
from mcp_router.operations.chat import ChatAnswer, ChatRequest, answer_chat, choose_model, estimate_input
from mcp_router.server.callers import caller_from_request
from providers.completion import NativeOptions, OnText

_MAX_OUTPUT_TOKENS = 32_000
"""Claude Code asks for 128,000, which would reserve the whole ceiling for every call."""
_BETA_HEADER = "anthropic-beta"


class Messages:
    """The endpoint. An ASGI application: Starlette's function wrappers would cost every call time."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._start(Request(scope, receive))
        await response(scope, receive, send)

    async def _start(self, request: Request) -> Response:
        app, call_id = self._app, new_call_id()
        try:
            body, unused = parse_messages(await read_json(request))
            chat = await _to_chat_request(app, body, betas=request.headers.get(_BETA_HEADER))
        except RouterError as error:
            return anthropic_response(classify_error(error))
        client = caller_from_request(request).name

        async def work(on_text: OnText | None) -> ChatAnswer:
            return await answer_chat(app, chat, client=client, call_id=call_id, on_text=on_text)

        answer_format = AnthropicFormat(
            call_id=call_id, model=body.model, unused=unused, input_tokens=estimate_input(chat)
        )
        return ChatResponse(work, answer_format, call_id=call_id, stream=body.stream)


class CountTokens:
    """The endpoint that estimates a request's input tokens; it asks no vendor and costs nothing."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            body, _ = parse_messages({"max_tokens": 1, **await read_json(request)})
            chat = await _to_chat_request(self._app, body, betas=None)
        except RouterError as error:
            response = anthropic_response(classify_error(error))
        else:
            response = json_response({"input_tokens": estimate_input(chat)})
        await response(scope, receive, send)


async def _to_chat_request(app: App, body: MessagesBody, *, betas: str | None) -> ChatRequest:
    choice = await choose_model(app, body.model)
    # In a thread: a PDF's pages are counted in a child process.
    system, messages, found = await anyio.to_thread.run_sync(to_conversation, body)
    output = body.output_config.format if body.output_config is not None else None
    headers = {_BETA_HEADER: betas} if betas else {}
    fields = list_native_fields(body)
    return ChatRequest(
        choice=choice,
        system=system,
        messages=messages,
        max_output_tokens=min(body.max_tokens, _MAX_OUTPUT_TOKENS),
        temperature=body.temperature,
        response_schema=output.schema_ if output is not None else None,
        offer=to_offer(body, messages, found),
        stop=tuple(body.stop_sequences or ()),
        native=NativeOptions(fields=fields, headers=headers) if fields or headers else None,
    )
