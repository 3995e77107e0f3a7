"""Past calls, days and budgets over HTTP."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.front import environment
from tests.support.site import ALICE, BOB, BOSS, CLIENTS, TOKENS, bearing, site
from tests.vendors import Vendors, vendor_server

TASK = {"prompt": "Write a haiku about rivers.", "use_case": "conversation", "budget_tier": "standard"}


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


async def test_calls_days_and_budgets_are_filtered_paged_and_as_described(tmp_path: Path, vendors: Vendors) -> None:
    today = datetime.now(UTC).date().isoformat()
    async with site(tmp_path, environment(vendors, "groq", "mistral") | TOKENS, CLIENTS) as there:

        async def read(path: str, token: str = BOSS) -> dict[str, Any]:
            answer = await there.http.get(path, headers=bearing(token))
            assert answer.status_code == 200, answer.text
            name = {"/api/llm/calls": "Calls", "/api/llm/days": "Days", "/api/llm/budgets": "Budgets"}
            schema = {
                "$ref": f"#/components/schemas/{name[path.partition('?')[0]]}",
                "components": document["components"],
            }
            Draft202012Validator(schema).validate(answer.json())  # pyright: ignore[reportUnknownMemberType] -- it has no types
            return answer.json()

        document = (await there.http.get("/api/openapi.json", headers=bearing(BOSS))).json()
        for token, extra in ((ALICE, {}), (ALICE, {"model": "mistral"}), (BOB, {})):
            await there.http.post("/api/llm/generate", json=TASK | extra, headers=bearing(token))
        vendors.fail("mistral", status=401)
        await there.http.post("/api/llm/generate", json=TASK | {"model": "mistral"}, headers=bearing(BOB))
        every = await read("/api/llm/calls?limit=3")
        rest = await read(f"/api/llm/calls?limit=3&before={every['before']}")
        failed = await read("/api/llm/calls?outcome=failed&model=mistral")
        none = await read("/api/llm/calls?since=2031-01-01")
        own = await read("/api/llm/calls", ALICE)
        other = await there.http.get("/api/llm/calls?client=bob", headers=bearing(ALICE))
        wrong = await there.http.get("/api/llm/calls?since=yesterday", headers=bearing(BOSS))
        days = await read("/api/llm/days")
        empty = await read("/api/llm/days?since=2025-01-01&until=2025-01-31")
        budgets = await read("/api/llm/budgets", ALICE)

    seen = [call["client"] for page in (every, rest) for call in page["calls"]]
    assert seen == ["bob", "bob", "alice", "alice"]
    assert rest["before"] is None
    assert [(call["client"], call["outcome"], call["error"]) for call in failed["calls"]] == [
        ("bob", "failed", "authentication")
    ]
    assert (none["calls"], {call["client"] for call in own["calls"]}) == ([], {"alice"})
    assert (other.status_code, wrong.status_code) == (400, 400)
    assert [(day["day"], day["calls"]) for day in days["days"]] == [(today, 4)]
    assert empty["days"] == []
    assert [budget["name"] for budget in budgets["budgets"]] == ["alice daily"]
