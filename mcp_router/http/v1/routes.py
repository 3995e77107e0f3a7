"""The routes under `/v1`."""

from __future__ import annotations

from starlette.routing import Route

from mcp_router.app import App
from mcp_router.http.v1.anthropic_api import CountTokens, Messages
from mcp_router.http.v1.models import ModelsEndpoint
from mcp_router.http.v1.openai_api import ChatCompletions


def create_routes(app: App) -> list[Route]:
    """Return the routes under `/v1`."""
    models = ModelsEndpoint(app)
    return [
        Route("/v1/chat/completions", ChatCompletions(app), methods=["POST"]),
        Route("/v1/messages", Messages(app), methods=["POST"]),
        Route("/v1/messages/count_tokens", CountTokens(app), methods=["POST"]),
        Route("/v1/models", models.list, methods=["GET"]),
        Route("/v1/models/{name:path}", models.show, methods=["GET"]),
    ]
