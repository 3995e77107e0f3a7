"""The part of the OpenAPI document about `/v1`."""

from __future__ import annotations

from pydantic.json_schema import models_json_schema

from mcp_router.http.responses import Json
from mcp_router.http.v1.openai_request import ChatBody

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "The request is wrong, or a field is not supported; nothing was spent unless a vendor refused it",
    "401": "The token is missing or unknown",
    "402": "A budget would be exceeded",
    "404": "There is no such model",
    "408": "The body arrived too slowly",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "502": "Every model failed",
    "503": "No model is available; see retry-after",
    "504": "The call's deadline has passed",
}
_ANY_OBJECT: Json = {"type": "object"}
_OPENAI_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_MODEL: Json = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
_COMPLETION: Json = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage", "x_router"],
    "properties": {
        "object": {"const": "chat.completion"},
        "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": _ANY_OBJECT},
        "usage": {"type": ["object", "null"]},
        "x_router": {"type": "object", "required": ["call_id", "model", "cost_usd", "saved_usd", "reason"]},
    },
}


def create_schemas() -> dict[str, Json]:
    """Return the schemas of bodies and answers."""
    _, found = models_json_schema([(ChatBody, "validation")], ref_template=_REF)
    models: Json = {
        "type": "object",
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
    }
    return {
        **found["$defs"],
        "ChatCompletion": _COMPLETION,
        "Models": models,
        "Model": _MODEL,
        "OpenAIError": _OPENAI_ERROR,
    }


def create_paths() -> Json:
    """Return the paths."""
    chat = _operation("chatCompletions", "Answer a chat, in OpenAI's shape", "ChatCompletion", tuple(_ERRORS))
    chat["requestBody"] = {"required": True, "content": _content("ChatBody")}
    answers = chat["responses"]["200"]["content"]  # type: ignore[index]  # a JSON object
    answers["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "Chunks; a whole answer ends with `[DONE]`, any other with an error.",
        }
    }
    models = _operation("listModels", "List the names that model can have", "Models", ("401", "503"))
    model = _operation("showModel", "Look up one of them", "Model", ("401", "404", "503"))
    model["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/models": {"get": models},
        "/v1/models/{name}": {"get": model},
    }


def _operation(name: str, summary: str, result: str, errors: tuple[str, ...]) -> Json:
    responses: dict[str, Json] = {"200": {"description": "Done", "content": _content(result)}}
    for status in errors:
        responses[status] = {"description": _ERRORS[status], "content": _content("OpenAIError")}
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": _REF.format(model=schema)}}}
