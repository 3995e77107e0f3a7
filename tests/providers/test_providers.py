"""One contract for every provider there is: what goes out is what its vendor takes, what comes back is one shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest

from providers import errors
from providers.catalog import EFFORTS, Model, Provider
from providers.completion import Attachment, Completion, Message, Prompt, Usage
from providers.connect import Adapter, connect
from providers.registry import load_providers
from tests.vendors import CITATIONS, Vendors, vendor_server

ROWS = tuple(row for row in load_providers() if row.wire != "embedded")
SEARCHERS = tuple(row for row in ROWS if row.search is not None)
KEY = "key-4f9a8b7c6d5e4f3a"
WRITES_TOLD = {"claude", "openai", "kimi", "openrouter"}
COSTS_TOLD = {"grok", "perplexity", "openrouter", "copilot"}
PROMPT = Prompt(
    messages=(Message(role="user", content="Say hello."),),
    max_output_tokens=500,
    system="Be kind.",
    temperature=0.3,
)
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
NAMED: dict[str, type[errors.ProviderError]] = {
    "auth": errors.AuthenticationError,
    "forbidden": errors.AuthenticationError,
    "quota": errors.QuotaError,
    "rate_limit": errors.RateLimitError,
    "overloaded": errors.UnavailableError,
    "server": errors.UnavailableError,
    "bad_gateway": errors.UnavailableError,
    "too_slow": errors.UnavailableError,
    "model_gone": errors.ModelNotFoundError,
    "gone": errors.ModelNotFoundError,
    "context": errors.ContextLengthError,
    "filter": errors.ContentFilterError,
    "invalid": errors.UnexplainedRequestError,
    "cut": errors.BrokenAnswerError,
    "malformed": errors.BrokenAnswerError,
    "unfinished": errors.BrokenAnswerError,
}


@pytest.fixture
async def vendors() -> AsyncIterator[Vendors]:
    async with vendor_server() as served:
        yield served


def reached(row: Provider, vendors: Vendors) -> Adapter:
    return connect(row, key=KEY if row.key_env else None, base_url=vendors.url(row.name))


def model_of(row: Provider) -> Model:
    return row.models[0] if row.models else Model(provider=row.name, name="some-model")


def lightest(model: Model, prompt: Prompt = PROMPT) -> Prompt:
    return replace(prompt, effort=model.choose_effort("off"))


def expected(row: Provider, model: Model, *, searches: int = 0) -> Completion:
    return Completion(
        text=f"Hello from {row.name}.",
        model=model.name,
        finish_reason="stop",
        usage=Usage(
            input_tokens=100,
            output_tokens=42,
            cache_read_tokens=40,
            cache_write_tokens=20 if row.name in WRITES_TOLD else 0,
            reasoning_tokens=12,
            searches=searches,
            reported_cost_usd=Decimal("0.00123") if row.name in COSTS_TOLD else None,
        ),
        citations=CITATIONS if searches else (),
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_provider_answers(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)

    completion = await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert completion == expected(row, model_of(row))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_streamed_answer_is_the_same_answer(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    completion = await adapter.complete(model_of(row), lightest(model_of(row)), on_text=hear)
    await adapter.aclose()

    assert completion == expected(row, model_of(row))
    assert len(heard) > 1
    assert "".join(heard) == completion.text


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("row", SEARCHERS, ids=lambda row: row.name)
async def test_a_search_is_counted_and_cited(row: Provider, vendors: Vendors, streamed: bool) -> None:
    adapter = reached(row, vendors)

    async def hear(_text: str) -> None:
        pass

    prompt = replace(lightest(model_of(row)), max_searches=2)
    completion = await adapter.complete(model_of(row), prompt, on_text=hear if streamed else None)
    await adapter.aclose()

    assert completion == expected(row, model_of(row), searches=1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_every_model_takes_every_effort_it_is_asked_for(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    asked = [(model, effort) for model in row.models for effort in EFFORTS]

    answers = [
        await adapter.complete(model, replace(PROMPT, effort=model.choose_effort(effort))) for model, effort in asked
    ]
    await adapter.aclose()

    assert [answer.model for answer in answers] == [model.name for model, _ in asked]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_answer_in_json_is_asked_for_as_the_vendor_takes_it(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    vendors.says(row.name, '{"word": "hello"}')

    completion = await adapter.complete(model_of(row), lightest(model_of(row), replace(PROMPT, response_schema=SCHEMA)))
    await adapter.aclose()

    assert completion.text == '{"word": "hello"}'
    assert "word" in str(vendors.requests(row.name)[-1].body)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_images_and_documents_travel(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    image = Attachment(name="dot.png", media_type="image/png", data=b"PNG-BYTES")
    document = Attachment(name="page.pdf", media_type="application/pdf", data=b"PDF-BYTES")
    turns = (
        Message(role="user", content="Look.", attachments=(image, document)),
        Message(role="assistant", content="I see."),
        Message(role="user", content="What?"),
    )

    completion = await adapter.complete(model_of(row), lightest(model_of(row), replace(PROMPT, messages=turns)))
    await adapter.aclose()

    sent = str(vendors.requests(row.name)[-1].body)
    assert completion.text == f"Hello from {row.name}."
    assert "UE5HLUJZVEVT" in sent
    assert "UERGLUJZVEVT" in sent


@pytest.mark.parametrize("kind", sorted(set(NAMED) - {"unfinished"}))  # a whole JSON body is complete
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_failures_map_to_errors_with_safe_texts(row: Provider, kind: str, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    vendors.fail(row.name, kind)

    with pytest.raises(errors.ProviderError) as caught:
        await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert caught.value.kind == NAMED[kind].kind
    assert 0 < len(str(caught.value)) <= 300
    assert KEY not in str(caught.value)
    assert len(vendors.requests(row.name)) == 1


@pytest.mark.parametrize("kind", ["rate_limit", "auth", "cut", "malformed", "unfinished", "cut_stream"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_failing_streams_map_to_errors(row: Provider, kind: str, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    vendors.fail(row.name, kind)

    async def hear(_text: str) -> None:
        pass

    with pytest.raises(errors.ProviderError) as caught:
        await adapter.complete(model_of(row), lightest(model_of(row)), on_text=hear)
    await adapter.aclose()

    assert type(caught.value) is NAMED.get(kind, errors.BrokenAnswerError)
    assert len(vendors.requests(row.name)) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_retry_after_of_every_vendor_is_read(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    vendors.fail(row.name, status=429, retry_after=30)

    with pytest.raises(errors.RateLimitError) as caught:
        await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert caught.value.retry_after == 30
    assert caught.value.status == 429


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_empty_answer_is_a_failure_with_its_usage(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    vendors.says(row.name, "")

    with pytest.raises(errors.EmptyAnswerError) as caught:
        await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert caught.value.usage == expected(row, model_of(row)).usage


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_missing_usage_is_unknown(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)
    vendors.says(row.name, "Hello.", counted=False)

    completion = await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert completion.usage is None


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_cancelling_closes_the_connection_at_once(row: Provider, vendors: Vendors, streamed: bool) -> None:
    adapter = reached(row, vendors)
    vendors.fail(row.name, "silent")

    async def hear(_text: str) -> None:
        pass

    async def ask() -> None:
        await adapter.complete(model_of(row), lightest(model_of(row)), on_text=hear if streamed else None)

    async with anyio.create_task_group() as asking:
        asking.start_soon(ask)
        with anyio.fail_after(10):
            await vendors.until(lambda: len(vendors.requests(row.name)) > 0)
        asking.cancel_scope.cancel()
    with anyio.fail_after(0.5):
        await vendors.until(lambda: vendors.hung_up(row.name) > 0)
    await adapter.aclose()

    assert vendors.hung_up(row.name) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_refused_connection_is_unavailable_and_unbilled(row: Provider) -> None:
    adapter = connect(row, key=KEY, base_url="http://127.0.0.1:9/v1")

    with pytest.raises(errors.UnavailableError) as caught:
        await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert type(caught.value) is errors.UnavailableError


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_the_key_goes_to_its_vendor_and_a_keyless_one_gets_a_word(row: Provider, vendors: Vendors) -> None:
    adapter = reached(row, vendors)

    await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert vendors.requests(row.name)[-1].headers["authorization"] == f"Bearer {KEY if row.key_env else 'none'}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_address_without_a_path_takes_the_vendors_own(row: Provider, vendors: Vendors) -> None:
    vendors.anyone = row.name
    adapter = connect(row, key=KEY, base_url=vendors.root)

    completion = await adapter.complete(model_of(row), lightest(model_of(row)))
    await adapter.aclose()

    assert completion.text == f"Hello from {row.name}."
