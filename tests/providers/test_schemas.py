"""JSON answers: how each vendor is asked for them, and what happens if it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from providers.completion import Prompt
from providers.registry import load_provider
from tests.providers.test_answer_text import LOCAL, MODELS, PROMPT, chat, chat_events, complete
from tests.vendors import vendor_server

pytestmark = pytest.mark.anyio

LIST: dict[str, object] = {"type": "array", "items": {"type": "string"}}


def asking_for(schema: Mapping[str, object], prompt: Prompt = PROMPT) -> Prompt:
    """The prompt with a schema."""
    return replace(prompt, response_schema=schema)


@pytest.mark.parametrize(
    "schema",
    [
        LIST,
        {"type": "string"},
        {"anyOf": [{"type": "object"}, {"type": "null"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": LIST}},
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_schema_without_object_root_is_wrapped_and_unwrapped(schema: dict[str, object], stream: bool) -> None:
    wrapped = '{"answer": ["a", "b"]}'
    async with vendor_server() as vendors:
        vendors.writes("openai", chat_events(wrapped) if stream else chat(wrapped))

        completion, shown = await complete(vendors, MODELS["openai:gpt-6-luna"], asking_for(schema), stream=stream)
        sent = vendors.requests("openai")[-1].body["response_format"]["json_schema"]["schema"]

    assert completion.text == '["a", "b"]'
    assert not stream or shown == completion.text
    assert (sent["type"], sent["required"]) == ("object", ["answer"])
    assert sent.get("$defs") == schema.get("$defs")


async def test_schema_that_refers_to_its_root_is_asked_for_in_words() -> None:
    tree: dict[str, object] = {"type": "array", "items": {"$ref": "#"}}
    async with vendor_server() as vendors:
        vendors.writes("openai", chat("[[]]"))

        completion, _ = await complete(vendors, MODELS["openai:gpt-6-luna"], asking_for(tree))
        body = vendors.requests("openai")[-1].body

    assert completion.text == "[[]]"
    assert "response_format" not in body
    assert "JSON Schema" in json.dumps(body["messages"])


async def test_format_that_a_vendor_refuses_is_asked_for_in_words_from_then_on() -> None:
    refusal = {
        "error": {"message": "'response_format' of type json_schema is not supported", "type": "invalid_request_error"}
    }
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    model = MODELS["openai:gpt-6-luna"]
    async with vendor_server() as vendors:
        vendors.fail("openai", status=400, body=refusal, times=1)
        vendors.writes("openai", chat('{"a": "b"}'))

        completion, _ = await complete(vendors, model, asking_for(schema))
        bodies = [request.body for request in vendors.requests("openai")]

    assert completion.text == '{"a": "b"}'
    assert ["response_format" in body for body in bodies] == [True, False]


async def test_groq_search_excludes_a_schema_in_a_field() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    prompt = replace(asking_for(schema), max_searches=1)
    async with vendor_server() as vendors:
        vendors.writes("groq", chat('{"a": "b"}'))

        await complete(vendors, MODELS["groq:openai/gpt-oss-20b"], prompt)
        body = vendors.requests("groq")[-1].body

    assert "response_format" not in body
    assert body["tools"] == [{"type": "browser_search"}]


async def test_local_model_with_the_feature_takes_a_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    model = replace(LOCAL, features=frozenset({"json_schema"}))
    async with vendor_server() as vendors:
        vendors.writes("local", chat('{"a": "b"}'))

        await complete(vendors, model, asking_for(schema))

    assert vendors.requests("local")[-1].body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("is_shared", [False, True])
async def test_openai_cache_is_off_unless_a_beginning_is_shared(is_shared: bool) -> None:
    async with vendor_server() as vendors:
        await complete(vendors, MODELS["openai:gpt-6-luna"], replace(PROMPT, shared_prefix=is_shared))
        await complete(vendors, MODELS["openai:gpt-4o-mini"], PROMPT)
        new, old = (request.body for request in vendors.requests("openai"))

    assert new.get("prompt_cache_options") == (None if is_shared else {"mode": "explicit"})
    assert "prompt_cache_options" not in old


async def test_claude_over_openrouter_caches_a_shared_beginning() -> None:
    message = replace(PROMPT.messages[0], shared_chars=5)
    prompt = replace(PROMPT, messages=(message,), system="Be brief.", shared_prefix=True)
    async with vendor_server() as vendors:
        await complete(vendors, MODELS["openrouter:anthropic/claude-haiku-5.5"], prompt)
        system, user = vendors.requests("openrouter")[-1].body["messages"]
        await complete(vendors, MODELS["openrouter:openai/gpt-6-luna"], prompt)
        plain = vendors.requests("openrouter")[-1].body["messages"]

    mark = {"cache_control": {"type": "ephemeral"}}
    assert system["content"] == [{"type": "text", "text": "Be brief.", **mark}]
    assert user["content"] == [
        {"type": "text", "text": message.content[:5], **mark},
        {"type": "text", "text": message.content[5:]},
    ]
    assert "cache_control" not in json.dumps(plain)


async def test_openrouter_gets_its_minimum_of_output_tokens() -> None:
    async with vendor_server() as vendors:
        await complete(vendors, MODELS["openrouter:openai/gpt-6-luna"], replace(PROMPT, max_output_tokens=1))

    assert vendors.requests("openrouter")[-1].body["max_completion_tokens"] == 16


def test_model_announces_only_an_effort_that_is_sent() -> None:
    wrong = [
        model.id
        for name in ("claude", "gemini", "openai", "mistral", "groq")
        for model in load_provider(name).models
        if model.thinking.default == "off" and model.choose_effort("low") not in {"off", *model.thinking.efforts}
    ]

    assert wrong == []
