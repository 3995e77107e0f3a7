"""How what goes wrong is told over HTTP: the fitting status, one shape, and never a key."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_router.http.openapi import create_document
from tests.support.front import environment
from tests.support.site import Site, site
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "budget_tier": "standard",
    "complexity": "medium",
}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


async def refused(there: Site, body: Any = TASK, **given: Any) -> tuple[int, str, str]:
    answer = await there.http.post("/api/llm/generate", **({"json": body} | given))
    error = answer.json()["error"]
    assert set(error) <= {"kind", "message", "call_id"}
    assert "test-key" not in answer.text
    return answer.status_code, error["kind"], error["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "prompt is missing"),
        ({"prompt": "hi", "use_case": "poetry"}, "classification"),
        ({"prompt": "hi", "budget_tier": 3}, "There are: ultra_economy"),
        ({"prompt": "hi", "promt": "hi"}, "Use prompt."),
        ({"prompt": "hi", "stream": "yes"}, "stream: must be true or false"),
        ({"prompt": "hi", "max_cost_usd": -1}, "max_cost_usd"),
        ({"prompt": "hi", "model": "nobody:nothing"}, "nobody"),
        ([], "JSON object"),
        ("text", "JSON object"),
    ],
)
async def test_a_callers_mistake_is_a_400_that_names_it(
    tmp_path: Path, vendors: Vendors, body: object, said: str
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        answer = await there.http.post("/api/llm/generate", json=body)

    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert vendors.requests("groq") == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"prompt": ' + b"9" * 5_000 + b"}"])
async def test_a_body_that_is_no_json_is_a_400(tmp_path: Path, vendors: Vendors, content: bytes) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        headers = {"Content-Type": "application/json"}
        status, kind, _ = await refused(there, content=content, json=None, headers=headers)

    assert (status, kind) == (400, "bad_input")


async def test_a_body_of_another_type_is_a_415(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        status, _, said = await refused(there, content=b"prompt=hi", json=None, headers={"Content-Type": "text/plain"})

    assert (status, "application/json" in said) == (415, True)


async def test_a_used_up_budget_is_a_402(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq"), "[budgets]\ndaily_usd = 0\n") as there:
        status, kind, said = await refused(there)

    assert (status, kind) == (402, "budget_exceeded")
    assert "daily" in said
    assert vendors.requests("groq") == []


@pytest.mark.parametrize("stream", [False, True])
async def test_models_that_all_fail_are_a_502_that_says_what_happened(
    tmp_path: Path, vendors: Vendors, stream: bool
) -> None:
    vendors.fail("groq", status=401)
    async with site(tmp_path, environment(vendors, "groq")) as there:
        status, kind, said = await refused(there, TASK | {"stream": stream})

    assert (status, kind) == (502, "all_failed")
    assert "groq" in said


async def test_nobody_to_ask_is_a_503(tmp_path: Path) -> None:
    async with site(tmp_path, {}) as there:
        status, kind, said = await refused(there)

    assert (status, kind) == (503, "no_candidate")
    assert "GROQ_API_KEY" in said


async def test_everybody_at_their_limit_is_a_429_that_says_when(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq"), "[providers.groq]\nrpm = 1\n") as there:
        await there.http.post("/api/llm/generate", json=TASK)
        answer = await there.http.post("/api/llm/generate", json=TASK)

    assert answer.status_code == 429
    assert 30 < int(answer.headers["retry-after"]) <= 60


async def test_a_call_larger_than_a_rate_is_a_503_since_no_waiting_helps(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq"), "[providers.groq]\ntpm = 10\n") as there:
        status, kind, said = await refused(there)

    assert (status, kind) == (503, "no_candidate")
    assert "10 tokens a minute, and this call alone is more than that" in said
    assert said.endswith("or shorten the prompt, or lower max_output_tokens.")


async def test_a_deadline_that_passes_is_a_504(tmp_path: Path, vendors: Vendors) -> None:
    vendors.delay("groq", 10)
    folder = f'database_url = "sqlite:///{tmp_path / "ledger.sqlite3"}"\ndeadline_s = 0.3\n'
    async with site(tmp_path, environment(vendors, "groq"), folder) as there:
        status, kind, _ = await refused(there)

    assert (status, kind) in {(504, "deadline"), (502, "all_failed")}


async def test_a_lost_ledger_is_a_503_and_nobody_is_asked(tmp_path: Path, vendors: Vendors) -> None:
    (tmp_path / "taken").write_text("not a folder")
    config = f'database_url = "sqlite:///{tmp_path / "taken" / "ledger.sqlite3"}"\n'
    async with site(tmp_path, environment(vendors, "groq"), config) as there:
        status, kind, _ = await refused(there)

    assert (status, kind) == (503, "ledger")
    assert vendors.requests("groq") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/llm/generate", 405),
        ("DELETE", "/api/llm/providers", 405),
        ("GET", "/api/llm/providers?provider=nobody", 400),
        ("GET", "/api/llm/providers?providers=groq", 400),
        ("GET", "/api/llm/use-cases?color=red", 400),
        ("GET", "/api/llm/cost-summary?period=yesterday", 400),
        ("GET", "/api/dashboard/calls?limit=0", 400),
        ("GET", "/api/dashboard/calls?before=never", 400),
    ],
)
async def test_what_is_not_there_is_told_as_json(
    tmp_path: Path, vendors: Vendors, method: str, path: str, status: int
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        answer = await there.http.request(method, path)

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"kind", "message"}


async def test_the_openapi_document_names_every_argument_and_refers_to_nothing_outside_it(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        told = (await there.http.get("/api/openapi.json")).json()

    schemas = told["components"]["schemas"]
    references = {one.split('"')[0] for one in str(create_document()).replace("'", '"').split('"$ref": "')[1:]}
    assert told["openapi"] == "3.1.0"
    assert {"prompt", "files", "response_schema", "stream"} <= set(schemas["GenerateArguments"]["properties"])
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(schemas)
    assert set(told["paths"]["/api/llm/generate"]["post"]["responses"]) >= {"200", "400", "402", "429", "502", "503"}


@pytest.mark.parametrize("head", [b"x-long: " + b"a" * 200_000, b"no header at all"], ids=["long", "broken"])
async def test_a_head_that_is_too_long_or_broken_is_answered_in_a_sentence(
    tmp_path: Path, vendors: Vendors, head: bytes
) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        port = int(there.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n" + head + b"\r\n\r\n")
            answer = b"".join([chunk async for chunk in stream])
        health = await there.http.get("/health")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"A request's head may have 32 KiB.\n")
    assert health.status_code == 200
