"""What vendors refuse about tools, and the calls that they answer with."""

from __future__ import annotations

import json
import re
from typing import Any

from providers.catalog import Model, Provider

Calls = tuple[tuple[str, dict[str, Any]], ...]


def offers_functions(body: dict[str, Any]) -> bool:
    """Whether a request offers the caller's own tools and has no result of one yet."""
    tools = json.dumps(body.get("tools") or [])
    has_results = any(word in json.dumps(body) for word in ('"tool_call_id"', "tool_result", "function_call_output"))
    has_results = has_results or "functionResponse" in json.dumps(body)
    return not has_results and any(word in tools for word in ('"function"', "input_schema", "functionDeclarations"))


def searches(body: dict[str, Any]) -> bool:
    """Whether a request offers a search of the vendor's."""
    return any(
        tool.get("type") != "function" and "input_schema" not in tool and "functionDeclarations" not in tool
        for tool in body.get("tools") or []
    )


def wrong_chat_tools(  # noqa: PLR0911 - a vendor refuses for many reasons
    row: Provider, model: Model, body: dict[str, Any]
) -> str:
    """The objection of an OpenAI-shaped vendor."""
    open_calls: set[str] = set()
    last = ""
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return "tool_call_id: no such call in the preceding message"
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            return "An assistant message with 'tool_calls' must be followed by tool messages"
        elif last == "tool" and message["role"] == "user" and row.name == "mistral":
            return "Unexpected role 'user' after role 'tool'"
        for call in message.get("tool_calls") or []:
            if row.name == "mistral" and not re.fullmatch("[a-zA-Z0-9]{9}", call["id"]):
                return "Tool call id has to be 9 letters or digits"
            json.loads(call["function"]["arguments"])
            open_calls.add(call["id"])
        last = message["role"]
    if row.name == "gemini" and '"tool_calls"' in json.dumps(body["messages"]) and "signature" not in json.dumps(body):
        return "Function call is missing a thought_signature"
    if _is_forced(body.get("tool_choice")) and model.tools == "unforced":
        return "tool_choice: not supported by this model"
    return ""


def wrong_messages_tools(model: Model, body: dict[str, Any]) -> str:
    """Anthropic's objection."""
    open_calls: set[str] = set()
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results != open_calls:
            return "messages: tool_use ids were found without tool_result blocks immediately after"
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        if any(not re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in open_calls):
            return "messages: tool_use.id: String should match pattern"
    if open_calls or (results_anywhere(body) and not body.get("tools")):
        return "Requests which include tool_use or tool_result blocks must define tools"
    if (body.get("tool_choice") or {}).get("type") in {"any", "tool"} and model.tools == "unforced":
        return "tool_choice: not supported by this model"
    return ""


def results_anywhere(body: dict[str, Any]) -> bool:
    return '"tool_result"' in json.dumps(body["messages"])


def _is_forced(choice: object) -> bool:
    return choice == "required" or isinstance(choice, dict)


def chat_calls(calls: Calls, *, signed: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{number}xyz",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
            **({"extra_content": {"google": {"thought_signature": "sig-1"}}} if signed and not number else {}),
        }
        for number, (name, arguments) in enumerate(calls)
    ]


def chat_deltas(calls: Calls, *, signed: bool = False) -> list[dict[str, Any]]:
    """Pieces of calls, as OpenAI streams them."""
    deltas: list[dict[str, Any]] = []
    for index, call in enumerate(chat_calls(calls, signed=signed)):
        arguments = call["function"]["arguments"]
        start = {"index": index, **call, "function": {"name": call["function"]["name"], "arguments": ""}}
        pieces = [arguments[at : at + 4] for at in range(0, len(arguments), 4)]
        deltas.append({"tool_calls": [start]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return deltas


def message_blocks(calls: Calls) -> list[dict[str, Any]]:
    return [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}
        for number, (name, arguments) in enumerate(calls)
    ]
