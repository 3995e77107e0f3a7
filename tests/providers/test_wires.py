"""What single wires do in their own way, seen from both ends of a real connection."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from providers import errors
from providers.catalog import Model, Provider
from providers.completion import Completion, Limits, Message, OnText, Prompt, Usage
from providers.connect import connect
from providers.registry import load_providers
from providers.transport.rate_limit_headers import parse_rate_limits, parse_retry_after
from providers.transport.redaction import redact
from providers.transport.service_tier import add_service_tier
from providers.wires import openai_chat, openai_responses, request_options
from tests.vendors import Vendors, vendor_server

ROWS = {row.name: row for row in load_providers()}
KEY = "key-4f9a8b7c6d5e4f3a"
PROMPT = Prompt(messages=(Message(role="user", content="Say hello."),), max_output_tokens=500)
NOON = 1_795_000_000.0


@pytest.fixture
async def vendors() -> AsyncIterator[Vendors]:
    async with vendor_server() as served:
        yield served


def model(name: str) -> Model:
    provider, _, rest = name.partition(":")
    return next(model for model in ROWS[provider].models if not rest or model.name == rest)


async def hear(_text: str) -> None:
    pass


async def asked(
    vendors: Vendors, name: str, prompt: Prompt = PROMPT, *, on_text: OnText | None = None, row: Provider | None = None
) -> Completion:
    provider = row or ROWS[model(name).provider]
    adapter = connect(provider, key=KEY, base_url=vendors.url(provider.name))
    try:
        return await adapter.complete(model(name), prompt, on_text=on_text)
    finally:
        await adapter.aclose()


async def sent(vendors: Vendors, name: str, prompt: Prompt) -> dict[str, Any]:
    await asked(vendors, name, prompt)
    return vendors.requests(model(name).provider)[-1].body


@pytest.mark.parametrize("on_text", [None, hear], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "finish", "named"),
    [
        ("glm", "sensitive", errors.ContentFilterError),
        ("glm", "network_error", errors.BrokenAnswerError),
        ("glm", "model_context_window_exceeded", errors.ContextLengthError),
        ("deepseek", "insufficient_system_resource", errors.BrokenAnswerError),
        ("deepseek", "content_filter", errors.ContentFilterError),
        ("openrouter", "error", errors.BrokenAnswerError),
        ("mistral", "error", errors.BrokenAnswerError),
        ("openai", "a word nobody knows", errors.BrokenAnswerError),
        ("claude", "refusal", errors.ContentFilterError),
        ("claude", "model_context_window_exceeded", errors.ContextLengthError),
        ("perplexity", "content_filter", errors.ContentFilterError),
    ],
)
async def test_answer_with_a_bad_finish_reason_fails_with_its_usage(
    vendors: Vendors, name: str, finish: str, named: type[errors.ProviderError], on_text: OnText | None
) -> None:
    vendors.says(name, "Half an", finish=finish)

    with pytest.raises(errors.ProviderError) as caught:
        await asked(vendors, name, on_text=on_text)

    assert type(caught.value) is named
    assert caught.value.usage is not None
    assert caught.value.usage.output_tokens == 42


@pytest.mark.parametrize("on_text", [None, hear], ids=["whole", "streamed"])
@pytest.mark.parametrize("finish", ["stop", "eos", "eos_token", "stop_sequence"])
async def test_synonyms_of_stop_are_a_good_end(vendors: Vendors, finish: str, on_text: OnText | None) -> None:
    vendors.says("openai", "All of it", finish=finish)

    answer = await asked(vendors, "openai", on_text=on_text)

    assert (answer.text, answer.finish_reason) == ("All of it", "stop")


@pytest.mark.parametrize("on_text", [None, hear], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "finish"),
    [
        ("openai", "length"),
        ("mistral", "model_length"),
        ("claude", "max_tokens"),
        ("claude", "pause_turn"),
        ("perplexity", "max_output_tokens"),
    ],
)
async def test_cut_answer_is_marked_and_cut_thinking_is_empty(
    vendors: Vendors, name: str, finish: str, on_text: OnText | None
) -> None:
    vendors.says(name, "Half an", finish=finish)
    half = await asked(vendors, name, on_text=on_text)
    vendors.says(name, "", finish=finish)

    with pytest.raises(errors.EmptyAnswerError, match="spent all its output tokens"):
        await asked(vendors, name, on_text=on_text)

    assert (half.text, half.finish_reason) == ("Half an", "length")


@pytest.mark.parametrize(
    ("finish", "named"),
    [
        ("SAFETY", errors.ContentFilterError),
        ("RECITATION", errors.ContentFilterError),
        ("OTHER", errors.BrokenAnswerError),
        ("MALFORMED_FUNCTION_CALL", errors.BrokenAnswerError),
    ],
)
async def test_native_gemini_finish_reasons_are_mapped(
    vendors: Vendors, finish: str, named: type[errors.ProviderError]
) -> None:
    vendors.says("gemini", "Half an", finish=finish)

    with pytest.raises(errors.ProviderError) as caught:
        await asked(vendors, "gemini", replace(PROMPT, max_searches=1))

    assert type(caught.value) is named


@pytest.mark.parametrize("on_text", [None, hear], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["openai", "perplexity"])
async def test_a_refusal_in_words_is_a_refusal(vendors: Vendors, name: str, on_text: OnText | None) -> None:
    vendors.says(name, "", refusal="I cannot help with that.")

    with pytest.raises(errors.ContentFilterError):
        await asked(vendors, name, on_text=on_text)


@pytest.mark.parametrize("on_text", [None, hear], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [
        ("openrouter", "failed_200", errors.UnavailableError),
        ("openrouter", "limited_200", errors.RateLimitError),
        ("perplexity", "failed_200", errors.BrokenAnswerError),
    ],
)
async def test_a_failure_inside_a_success_is_a_failure(
    vendors: Vendors, name: str, kind: str, named: type[errors.ProviderError], on_text: OnText | None
) -> None:
    vendors.fail(name, kind)

    with pytest.raises(errors.ProviderError) as caught:
        await asked(vendors, name, on_text=on_text)

    assert type(caught.value) is named


async def test_groq_reports_the_failure_of_a_stream_in_a_place_of_its_own(vendors: Vendors) -> None:
    vendors.fail("groq", status=200, body={"x_groq": {"error": "Generation failed midway"}})

    with pytest.raises(errors.BrokenAnswerError, match="Generation failed midway"):
        await asked(vendors, "groq", on_text=hear)


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [
        ("groq", "garbled", errors.BrokenAnswerError),
        ("glm", "overloaded", errors.UnavailableError),
        ("openrouter", "filter", errors.ContentFilterError),
        ("gemini", "quota", errors.ModelQuotaError),
    ],
)
async def test_error_code_outranks_the_status(
    vendors: Vendors, name: str, kind: str, named: type[errors.ProviderError]
) -> None:
    vendors.fail(name, kind)

    with pytest.raises(errors.ProviderError) as caught:
        await asked(vendors, name)

    assert type(caught.value) is named


@pytest.mark.parametrize(
    ("name", "effort", "fields"),
    [
        ("openai:gpt-6-luna", "off", {"reasoning_effort": "none"}),
        ("openai:gpt-6-luna", "high", {"reasoning_effort": "high"}),
        ("openai:gpt-4o", "off", {}),
        ("deepseek:deepseek-flash", "off", {"thinking": {"type": "disabled"}}),
        ("deepseek:deepseek-flash", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("kimi:kimi-k3", "low", {"reasoning_effort": "low"}),
        ("kimi:kimi-k2.6", "off", {"thinking": {"type": "disabled"}}),
        ("glm:glm-4.7", "low", {"thinking": {"type": "enabled"}}),
        ("qwen:qwen3.7-flash", "off", {"enable_thinking": False}),
        ("qwen:qwen3.8-flash", "low", {"enable_thinking": True, "reasoning_effort": "low"}),
        ("groq:openai/gpt-oss-20b", "low", {"reasoning_effort": "low", "include_reasoning": False}),
        ("groq:qwen/qwen3.8-27b", "off", {"reasoning_effort": "none"}),
        ("mistral:mistral-small-2603", "off", {}),
        ("mistral:mistral-small-2603", "high", {"reasoning_effort": "high"}),
        ("gemini:gemini-2.5-flash-lite", "off", {"reasoning_effort": "none"}),
        ("gemini:gemini-3.8-flash", "low", {"reasoning_effort": "low"}),
        ("claude:claude-haiku-5-5", "off", {"thinking": {"type": "disabled"}}),
        ("claude:claude-sonnet-5-5", "off", {"thinking": {"type": "between_tools"}}),
        ("claude:claude-opus-5-5", "low", {"output_config": {"effort": "low"}}),
        ("claude:claude-haiku-4-5", "off", {}),
        ("copilot:gpt-6-luna", "off", {"reasoning": {"effort": "none"}}),
    ],
)
async def test_effort_is_sent_in_the_vendors_field(
    vendors: Vendors, name: str, effort: Any, fields: dict[str, Any]
) -> None:
    body = await sent(vendors, name, replace(PROMPT, effort=effort))

    places = {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "include_reasoning", "output_config"}
    assert {field: value for field, value in body.items() if field in places} == fields


@pytest.mark.parametrize(
    ("name", "effort", "told"),
    [
        ("openai:gpt-6-luna", "off", 0.3),
        ("openai:gpt-6-luna", "low", None),
        ("openai:gpt-6.2-sol", "low", None),
        ("claude:claude-haiku-5-5", "off", None),
        ("claude:claude-haiku-4-5", "off", None),
        ("kimi:kimi-k3", "low", None),
        ("perplexity:perplexity/sonar", "off", None),
        ("groq:openai/gpt-oss-20b", "low", 0.3),
    ],
)
async def test_temperature_is_left_out_where_it_is_refused(
    vendors: Vendors, name: str, effort: Any, told: float | None
) -> None:
    body = await sent(vendors, name, replace(PROMPT, effort=effort, temperature=0.3))

    assert body.get("temperature") == told


async def test_thinking_qwen_model_is_streamed_without_a_listener(vendors: Vendors) -> None:
    completion = await asked(vendors, "qwen:qwen3.8-flash", replace(PROMPT, effort="low"))

    assert completion.text == "Hello from qwen."
    assert vendors.requests("qwen")[-1].body["stream"] is True


async def test_claude_caches_a_shared_beginning(vendors: Vendors) -> None:
    kept = {"cache_control": {"type": "ephemeral"}}
    turn = Message(role="user", content="Shared. Mine.", shared_chars=8)

    system = await sent(vendors, "claude", replace(PROMPT, system="Be kind.", shared_prefix=True))
    first = await sent(vendors, "claude", replace(PROMPT, shared_prefix=True))
    part = await sent(vendors, "claude", replace(PROMPT, messages=(turn,), shared_prefix=True))
    alone = await sent(vendors, "claude", replace(PROMPT, messages=(turn,)))

    assert system["system"] == [{"type": "text", "text": "Be kind.", **kept}]
    assert first["messages"][0]["content"] == [{"type": "text", "text": "Say hello.", **kept}]
    assert part["messages"][0]["content"] == [
        {"type": "text", "text": "Shared. ", **kept},
        {"type": "text", "text": "Mine."},
    ]
    assert alone["messages"][0]["content"] == "Shared. Mine."


async def test_schema_uses_the_strongest_field_of_a_model(vendors: Vendors) -> None:
    closed: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    loose: dict[str, Any] = {"type": "object", "minProperties": 1}

    openai = await sent(vendors, "openai", replace(PROMPT, response_schema=closed))
    lax = await sent(vendors, "openai", replace(PROMPT, response_schema=loose))
    claude = await sent(vendors, "claude", replace(PROMPT, response_schema=closed))
    words = await sent(vendors, "claude", replace(PROMPT, response_schema=loose))
    deepseek = await sent(vendors, "deepseek", replace(PROMPT, response_schema=closed))
    perplexity = await sent(vendors, "perplexity", replace(PROMPT, response_schema=closed))

    assert openai["response_format"]["json_schema"] == {"name": "answer", "schema": closed, "strict": True}
    assert lax["response_format"]["json_schema"]["strict"] is False
    assert claude["output_config"] == {"format": {"type": "json_schema", "schema": closed}}
    assert "minProperties" in words["system"]
    assert deepseek["response_format"] == {"type": "json_object"}
    assert "JSON Schema" in deepseek["messages"][0]["content"]
    assert perplexity["response_format"]["json_schema"]["schema"] == closed


async def test_searches_are_offered_under_each_vendors_name(vendors: Vendors) -> None:
    prompt = replace(PROMPT, max_searches=2)
    tools = {name: (await sent(vendors, name, prompt))["tools"] for name in ("claude", "groq", "openrouter", "gemini")}
    responses = await sent(vendors, "openai", prompt)

    assert tools == {
        "claude": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
        "groq": [{"type": "browser_search"}],
        "openrouter": [{"type": "openrouter:web_search", "parameters": {"max_uses": 2}}],
        "gemini": [{"google_search": {}}],
    }
    assert (responses["tools"], responses["max_tool_calls"]) == ([{"type": "web_search"}], 2)


async def test_unsupported_search_is_refused_before_the_request(vendors: Vendors) -> None:
    with pytest.raises(errors.InvalidRequestError, match="kimi cannot search the web"):
        await asked(vendors, "kimi", replace(PROMPT, max_searches=1))

    assert vendors.requests("kimi") == []


async def test_error_of_a_listener_is_raised_unchanged(vendors: Vendors) -> None:
    async def stumble(_text: str) -> None:
        raise OSError("the listener's own trouble")

    with pytest.raises(OSError, match="the listener's own trouble"):
        await asked(vendors, "openai", on_text=stumble)


async def test_rate_limits_come_with_answers_and_errors(vendors: Vendors) -> None:
    vendors.heads("groq", x_ratelimit_limit_tokens="8000", x_ratelimit_remaining_tokens="7000")
    answered = await asked(vendors, "groq")
    vendors.fail("groq", "rate_limit")

    with pytest.raises(errors.RateLimitError) as caught:
        await asked(vendors, "groq")

    assert answered.limits == caught.value.limits == Limits(tokens_limit=8000, tokens_left=7000)


async def test_an_error_text_holds_neither_key_nor_prompt(vendors: Vendors) -> None:
    secret = "The launch code of the northern site is seven four two."
    echo = f"Bad key {KEY} or sk-abcdef0123456789 in Bearer qwertyuiop: you said '{secret}'\r\n\x1b[31m" + " wait" * 200
    vendors.fail("openai", status=400, body={"error": {"message": echo}})

    with pytest.raises(errors.InvalidRequestError) as caught:
        await asked(vendors, "openai", replace(PROMPT, messages=(Message(role="user", content=secret),)))

    said = str(caught.value)
    assert said.startswith("Bad key [...] or [...] in [...] you said '[...]'")
    assert len(said) == 300
    assert said.isprintable()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("model openai/gpt-oss-120b is at capacity", "model openai/gpt-oss-120b is at capacity"),
        ("nvidia/nemotron-3-ultra-550b-a55b:free is busy", "nvidia/nemotron-3-ultra-550b-a55b:free is busy"),
        ("token 9aZ4kQ2mX7bV1nC8pL5sD0", "token [...]"),
        ("api_key=abcdefgh12345678 refused", "[...] refused"),
        ("you wrote: the quick brown fox jumps over", "you wrote:[...]"),
        ("the quick brown dog", "the quick brown dog"),
    ],
)
def test_redaction_removes_only_secrets(said: str, shown: str) -> None:
    prompt = replace(PROMPT, system="Once the quick brown fox jumps over\nthe dog.")

    assert redact(said, prompt=prompt) == shown


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "30"}, None, 30.0),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, None, 0.25),
        ({"retry-after": "Wed, 18 Nov 2026 11:06:50 GMT"}, None, 10.0),
        ({"retry-after": "soon"}, None, None),
        ({"x-ratelimit-reset": "1795000060000"}, None, 60.0),
        ({}, {"error": {"details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "14s"}]}}, 14.0),
        ({}, {"error": {"message": "wait"}}, None),
    ],
)
def test_retry_after_is_read_from_every_place(headers: dict[str, str], body: object, seconds: float | None) -> None:
    assert parse_retry_after(headers, body, now=NOON) == seconds


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            {
                "x-ratelimit-limit-requests": "1000",
                "x-ratelimit-remaining-requests": "999",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-reset-tokens": "120ms",
            },
            Limits(requests_limit=1000, requests_left=999, requests_reset_seconds=179.56, tokens_reset_seconds=0.12),
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "4",
                "anthropic-ratelimit-tokens-limit": "80000",
                "anthropic-ratelimit-tokens-reset": "2026-11-18T11:07:40Z",
            },
            Limits(requests_left=4, tokens_limit=80000, tokens_reset_seconds=60.0),
        ),
        (
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795000005000"},
            Limits(requests_limit=20, requests_left=0, requests_reset_seconds=5.0),
        ),
        ({"content-type": "application/json"}, None),
    ],
)
def test_rates_are_read_in_every_spelling(headers: dict[str, str], found: Limits | None) -> None:
    assert parse_rate_limits(headers, now=NOON) == found


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "string"}, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "array", "items": {"type": "integer", "minimum": 1}}, False),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}}, True),
        ({}, False),
    ],
)
def test_strict_schemas_are_recognized(schema: dict[str, Any], fits: bool) -> None:
    assert request_options.is_strict_schema(schema) is fits


async def test_prompt_that_is_not_text_is_the_callers_mistake(vendors: Vendors) -> None:
    broken = replace(PROMPT, messages=(Message(role="user", content="\ud800"),))

    with pytest.raises(errors.InvalidRequestError):
        await asked(vendors, "openai", broken)

    assert vendors.requests("openai") == []


async def test_a_key_with_odd_characters_is_refused_before_anything_is_sent(vendors: Vendors) -> None:
    adapter = connect(ROWS["openai"], key="schlüssel", base_url=vendors.url("openai"))

    with pytest.raises(errors.AuthenticationError, match="characters that no key has"):
        await adapter.complete(model("openai"), PROMPT)

    assert vendors.requests("openai") == []


@pytest.mark.parametrize(
    "url", ["http://[::bad", "no address", "ftp://x/v1", "http://a b/v1", "http://127.0.0.1:99999"]
)
@pytest.mark.parametrize("name", ["openai", "claude", "mistral", "groq"])
async def test_invalid_base_url_is_reported(name: str, url: str) -> None:
    adapter = connect(ROWS[name], key=KEY, base_url=url)

    with pytest.raises(errors.UnavailableError, match=f"base_url of {name} is not a URL"):
        await adapter.complete(model(name), PROMPT)


def test_standard_service_tier_is_named_to_openai_only() -> None:
    for name in ("openai", "qwen", "openrouter"):
        for dialect in (openai_chat.DIALECT, openai_responses.DIALECT):
            body = dialect.build_request(ROWS[name], model(name), PROMPT, False)
            assert "service_tier" not in body
            named = replace(ROWS[name], names_standard_tier=True)
            assert dialect.build_request(named, model(name), PROMPT, False)["service_tier"] == "default"


def test_only_openais_own_address_gets_its_settings() -> None:
    for url, is_openai in (
        ("https://api.openai.com/v1", True),
        ("https://gateway.example/v1", False),
        ("https://api.openai.com.example/v1", False),
    ):
        assert openai_chat.name_standard_tier(ROWS["openai"], url).names_standard_tier is is_openai


def test_service_tier_is_read_wherever_a_vendor_reports_it() -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    reports: list[tuple[dict[str, str], dict[str, object], str]] = [
        ({}, {"service_tier": "flex"}, "flex"),
        ({}, {"service_tier": "Priority"}, "priority"),
        ({"x-gemini-service-tier": "flex"}, {}, "flex"),
        ({}, {"usageMetadata": {"serviceTier": "SERVICE_TIER_FLEX"}}, "flex"),
        ({}, {"usage": {"service_tier": "batch"}}, "batch"),
        ({}, {"service_tier": None, "usage": {"service_tier": 7}}, ""),
    ]

    for headers, answer, tier in reports:
        found = add_service_tier(usage, headers, answer)
        assert found == replace(usage, service_tier=tier)


async def test_openai_environment_reaches_no_other_vendor(vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer other")

    await asked(vendors, "qwen")

    headers = vendors.requests("qwen")[-1].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "org-mine" not in str(headers)
    assert "proj-mine" not in str(headers)


async def test_a_separator_that_looks_like_a_new_line_stays_in_the_text(vendors: Vendors) -> None:
    vendors.says("openai", "one\u2028two\u0085three\r\nfour")

    completion = await asked(vendors, "openai", on_text=hear)

    assert completion.text == "one\u2028two\u0085three\r\nfour"


def test_connecting_loads_no_sdk() -> None:
    code = (
        "import sys, providers, providers.registry as r\n"
        "providers.connect(r.load_provider('openai'), key='k')\n"
        "print([n for n in ('openai', 'anthropic', 'groq', 'mistralai', 'httpx2', 'anyio') if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
