"""The part of the OpenAPI document about `/v1`."""

from __future__ import annotations

from pydantic.json_schema import models_json_schema

from mcp_router.http.responses import Json
from mcp_router.http.v1.anthropic_request import MessagesBody
from mcp_router.http.v1.openai_request import ChatBody

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "The request is wrong, or a field is not supported; nothing was spent unless a vendor refused it",
    "401": "The token is missing or unknown",
    "402": "A budget would be exceeded",
    "403": "The client may not use the model; on /v1/messages also: a budget would be exceeded",
    "404": "There is no such model",
    "408": "The body arrived too slowly",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "429": "The client is at its own requests or tokens per minute; see retry-after",
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
_ANTHROPIC_ERROR: Json = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": ["string", "null"]},
    },
}
_MESSAGE: Json = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "x_router"],
    "properties": {
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "content": {"type": "array", "items": _ANY_OBJECT},
        "usage": _ANY_OBJECT,
        "x_router": _ANY_OBJECT,
    },
}
_COUNT: Json = {
    "type": "object",
    "required": ["input_tokens"],
    "properties": {"input_tokens": {"type": "integer"}},
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
    _, found = models_json_schema([(ChatBody, "validation"), (MessagesBody, "validation")], ref_template=_REF)
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
        "Message": _MESSAGE,
        "TokenCount": _COUNT,
        "AnthropicError": _ANTHROPIC_ERROR,
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
    errors = tuple(status for status in _ERRORS if status != "402")
    message = _operation("messages", "Answer a chat, in Anthropic's shape", "Message", errors, error="AnthropicError")
    message["requestBody"] = {"required": True, "content": _content("MessagesBody")}
    message["responses"]["200"]["content"]["text/event-stream"] = {  # type: ignore[index]  # a JSON object
        "schema": {"type": "string", "description": "Events; `message_stop` ends a whole answer, `error` any other."}
    }
    body = ("400", "401", "404", "408", "413", "415", "503")
    count = _operation("countTokens", "Estimate a request's input tokens", "TokenCount", body, error="AnthropicError")
    count["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ANY_OBJECT}}}
    models = _operation("listModels", "List the names that model can have", "Models", ("401", "503"))
    model = _operation("showModel", "Look up one of them", "Model", ("401", "404", "503"))
    model["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/messages": {"post": message},
        "/v1/messages/count_tokens": {"post": count},
        "/v1/models": {"get": models},
        "/v1/models/{name}": {"get": model},
    }


def _operation(name: str, summary: str, result: str, errors: tuple[str, ...], *, error: str = "OpenAIError") -> Json:
    responses: dict[str, Json] = {"200": {"description": "Done", "content": _content(result)}}
    for status in errors:
        responses[status] = {"description": _ERRORS[status], "content": _content(error)}
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": _REF.format(model=schema)}}}
