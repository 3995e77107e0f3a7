"""`POST /v1/chat/completions`, for every client that speaks OpenAI's API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcp_router.app import App
from mcp_router.errors import RouterError
from mcp_router.execution.call import new_call_id
from mcp_router.http.v1.chat_response import ChatResponse
from mcp_router.http.v1.errors import classify_error, openai_response
from mcp_router.http.v1.fields import read_json
from mcp_router.http.v1.openai_answer import OpenAIFormat
from mcp_router.http.v1.openai_conversation import to_conversation, to_offer, to_schema
from mcp_router.http.v1.openai_request import ChatBody, parse_chat
from mcp_router.operations.chat import ChatAnswer, ChatRequest, answer_chat, choose_model
from mcp_router.server.callers import caller_from_request
from providers.completion import OnText


class ChatCompletions:
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
            body, unused = parse_chat(await read_json(request))
            chat = await _to_chat_request(app, body)
        except RouterError as error:
            return openai_response(classify_error(error))
        client = caller_from_request(request).name

        async def work(on_text: OnText | None) -> ChatAnswer:
            return await answer_chat(app, chat, client=client, call_id=call_id, on_text=on_text)

        answer_format = OpenAIFormat(
            call_id=call_id, model=body.model, unused=unused, includes_usage=body.includes_usage
        )
        return ChatResponse(work, answer_format, call_id=call_id, stream=body.stream)


async def _to_chat_request(app: App, body: ChatBody) -> ChatRequest:
    system, messages = to_conversation(body)
    return ChatRequest(
        choice=await choose_model(app, body.model),
        system=system,
        messages=messages,
        max_output_tokens=body.output_tokens,
        temperature=body.temperature,
        response_schema=to_schema(body),
        offer=to_offer(body, messages),
        stop=body.stops,
    )
