"""`GET /v1/models`: the names that clients can send as `model`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, time

from starlette.requests import Request
from starlette.responses import Response

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.http.responses import Json, json_response
from mcp_router.http.v1.errors import anthropic_response, classify_error, is_anthropic, openai_response
from mcp_router.operations.chat import ROUTER, choose_model
from mcp_router.routing.routes import USE_CASES

_OWNER = "mcp-llm-router"


class ModelsEndpoint:
    """Lists the router's names and the models of available providers, in the shape that the client's API has."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def list(self, request: Request) -> Response:
        """Return every name."""
        rows = [row async for row in self._list_rows()]
        if is_anthropic(request.scope):
            data = [_to_anthropic(*row) for row in rows]
            ids = [str(row["id"]) for row in data]
            return json_response({"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]})
        return json_response({"object": "list", "data": [_to_openai(*row) for row in rows]})

    async def show(self, request: Request) -> Response:
        """Return one name, which can also be an alias."""
        name = str(request.path_params["name"])
        shape = is_anthropic(request.scope)
        try:
            choice = await choose_model(self._app, name)
            if choice.pin is not None and ":" in choice.pin:
                (await self._app.current_catalog()).model(choice.pin)
        except UnknownNameError as error:
            failed = classify_error(error)
            return anthropic_response(failed) if shape else openai_response(failed)
        known = {row[0]: row async for row in self._list_rows()}
        row = known.get(choice.pin or name, (choice.pin or name, _OWNER, None))
        return json_response(_to_anthropic(*row) if shape else _to_openai(*row))

    async def _list_rows(self) -> AsyncGenerator[tuple[str, str, date | None]]:
        for name in (ROUTER, *(f"{ROUTER}:{use_case}" for use_case in USE_CASES)):
            yield name, _OWNER, None
        catalog, access = await self._app.current_catalog(), self._app.access()
        for model in catalog.models():
            if access[model.provider].available and not model.only_by_name:
                yield model.id, model.provider, model.checked


def _to_openai(name: str, owner: str, checked: date | None) -> Json:
    return {"id": name, "object": "model", "created": _to_seconds(checked), "owned_by": owner}


def _to_anthropic(name: str, _owner: str, checked: date | None) -> Json:
    created = datetime.fromtimestamp(_to_seconds(checked), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


def _to_seconds(day: date | None) -> int:
    return 0 if day is None else int(datetime.combine(day, time(), UTC).timestamp())
