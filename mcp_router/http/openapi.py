"""The OpenAPI document, built from the arguments' models and the tools' output schemas."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic.json_schema import models_json_schema

from mcp_router import __version__
from mcp_router.http.responses import Json
from mcp_router.http.v1 import openapi as v1
from mcp_router.operations.arguments import CostArguments, ExplainArguments, GenerateArguments, ProviderArguments
from mcp_router.operations.reports import CallListArguments, DayArguments
from mcp_router.server.tools import COST_SUMMARY, EXPLAIN_ROUTE, GENERATE, LIST_PROVIDERS

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "The request is wrong; nothing was spent",
    "401": "The token is missing or unknown",
    "402": "A budget would be exceeded",
    "408": "The body arrived too slowly",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "429": "Every model is at its rate limit; see Retry-After",
    "502": "Every model failed",
    "503": "No model is available, or the ledger is unreachable; see Retry-After",
    "504": "The call's deadline has passed",
}
_ALWAYS = ("400", "401", "503")
_BODY = ("408", "413", "415")
_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "message"],
            "properties": {
                "kind": {"type": "string", "description": "One word"},
                "message": {"type": "string", "description": "What failed, and how to fix it"},
                "call_id": {"type": "string"},
            },
        }
    },
}


@cache
def create_document() -> Json:
    """Describe the HTTP interface, as OpenAPI 3.1."""
    arguments = (
        *(GenerateArguments, ExplainArguments, CostArguments, ProviderArguments),
        *(CallListArguments, DayArguments),
    )
    _, found = models_json_schema([(model, "validation") for model in arguments], ref_template=_REF)
    schemas: dict[str, Json] = dict(found["$defs"])
    schemas["GenerateArguments"]["properties"] = {
        **schemas["GenerateArguments"]["properties"],  # type: ignore[dict-item]  # a JSON object
        "stream": {"type": "boolean", "description": "Send the answer as events while it is generated"},
    }
    schemas |= {
        "Generated": dict(GENERATE.output_schema or {}),
        "Explained": dict(EXPLAIN_ROUTE.output_schema or {}),
        "Costs": dict(COST_SUMMARY.output_schema or {}),
        "Providers": dict(LIST_PROVIDERS.output_schema or {}),
        "UseCases": _use_cases(),
        **_reports(),
        "Error": _ERROR,
        **v1.create_schemas(),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "mcp-llm-router", "version": __version__, "summary": "Subtasks for cheaper language models"},
        "paths": _paths(schemas),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Required if clients are configured"}
            },
        },
        "security": [{"token": []}, {}],
    }


def _paths(schemas: dict[str, Json]) -> Json:
    generate = _operation("generate", "Run a subtask", "Generated", ("402", "429", "502", "504", *_BODY))
    generate["requestBody"] = _json_body("GenerateArguments")
    answers = generate["responses"]["200"]["content"]  # type: ignore[index]  # a JSON object
    answers["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "Events: text {text}, then result (as the JSON answer) or error. The text of the result "
            "counts: where a model failed halfway, pieces of its text came before the next one's.",
        }
    }
    explain = _operation("explain", "Plan without spending", "Explained", _BODY)
    explain["requestBody"] = _json_body("ExplainArguments")
    providers = _operation("providers", "List providers", "Providers")
    providers["parameters"] = _parameters(schemas["ProviderArguments"])
    costs = _operation("costSummary", "Summarize costs and savings", "Costs")
    costs["parameters"] = _parameters(schemas["CostArguments"])
    calls = _operation("calls", "List past calls", "Calls")
    calls["parameters"] = _parameters(schemas["CallListArguments"])
    days = _operation("days", "Sums by UTC day", "Days")
    days["parameters"] = _parameters(schemas["DayArguments"])
    return {
        "/api/llm/generate": {"post": generate},
        "/api/llm/explain": {"post": explain},
        "/api/llm/providers": {"get": providers},
        "/api/llm/use-cases": {"get": _operation("useCases", "Use cases and budget tiers", "UseCases")},
        "/api/llm/cost-summary": {"get": costs},
        "/api/llm/calls": {"get": calls},
        "/api/llm/days": {"get": days},
        "/api/llm/budgets": {"get": _operation("budgets", "Budgets as they stand", "Budgets")},
        **v1.create_paths(),
    }


def _reports() -> dict[str, Json]:
    """Return the schemas of calls, days and budgets."""
    text: Json = {"type": "string"}
    number: Json = {"type": "number"}
    whole: Json = {"type": "integer"}
    moment: Json = {"type": "string", "format": "date-time"}
    day: Json = {"type": "string", "format": "date"}
    usd: Json = {"type": ["number", "null"], "description": "USD; null if unknown"}
    names = ("call_id", "client", "use_case", "budget_tier", "complexity", "model", "outcome")
    call = _object(
        dict.fromkeys(names, text)
        | {"started_at": moment, "seconds": number, "cost_usd": usd}
        | dict.fromkeys(("attempts", "input_tokens", "output_tokens"), whole),
        optional={"error": text},
    )
    counts = ("calls", "attempts", "failed_attempts", "input_tokens", "output_tokens")
    money = dict.fromkeys(("cost_usd", "baseline_usd", "saved_usd"), usd)
    row = _object({"day": day} | dict.fromkeys(counts, whole) | money)
    budget = _object({"name": text, "resets_at": moment} | dict.fromkeys(("limit_usd", "spent_usd", "held_usd"), usd))
    before: Json = {"type": ["number", "null"], "description": "For the next page; null on the last one"}
    return {
        "Calls": _object({"calls": {"type": "array", "items": call}, "before": before}),
        "Days": _object({"since": day, "until": day, "days": {"type": "array", "items": row}}),
        "Budgets": _object({"budgets": {"type": "array", "items": budget}}),
    }


def _object(required: Mapping[str, object], optional: Mapping[str, object] | None = None) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _operation(name: str, summary: str, result: str, errors: tuple[str, ...] = ()) -> Json:
    responses: dict[str, Json] = {"200": {"description": "Done", "content": _content(result)}}
    for status in sorted({*_ALWAYS, *errors}):
        responses[status] = {"description": _ERRORS[status], "content": _content("Error")}
        if status in ("429", "503"):
            responses[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": _REF.format(model=schema)}}}


def _json_body(schema: str) -> Json:
    return {"required": True, "content": _content(schema)}


def _parameters(schema: Json) -> list[Json]:
    properties: dict[str, Json] = schema["properties"]  # type: ignore[assignment]  # a JSON object
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(one)}
        for name, one in properties.items()
    ]


def _without_null(schema: Json) -> Json:
    """Return a parameter's type without null, which a query cannot express."""
    kinds = schema.get("anyOf")
    if not isinstance(kinds, list):
        return schema
    return next(kind for kind in kinds if kind.get("type") != "null")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType] -- pydantic's schema


def _use_cases() -> Json:
    row = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    rows = {"type": "array", "items": row}
    return {
        "type": "object",
        "required": ["use_cases", "budget_tiers"],
        "properties": {"use_cases": rows, "budget_tiers": rows},
    }
