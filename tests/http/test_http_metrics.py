"""What Prometheus reads, and how a probe is answered."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mcp_router.http.metrics import BUCKET_BOUNDS_S
from mcp_router.ledger.latency_histogram import BOUNDS_MS, BUCKETS, count_within
from tests.support.front import environment
from tests.support.site import ALICE, BOB, BOSS, CLIENTS, TOKENS, bearing, site
from tests.vendors import Vendors, vendor_server

TASK = {
    "prompt": "Write a haiku about rivers.",
    "use_case": "conversation",
    "budget_tier": "standard",
    "complexity": "medium",
}
GPT = (("model", "groq:openai/gpt-oss-120b"), ("provider", "groq"))


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with vendor_server() as server:
        yield server


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_are_the_ledgers(tmp_path: Path, vendors: Vendors) -> None:
    budget = "[budgets]\ndaily_usd = 5\n"
    vendors.fail("groq", status=500, times=1)
    async with site(tmp_path, environment(vendors, "groq", "openai"), budget) as there:
        for _ in range(2):
            answer = (await there.http.post("/api/llm/generate", json=TASK)).json()
            assert "call_id" in answer, answer
        costs = (await there.http.get("/api/llm/cost-summary")).json()
        response = await there.http.get("/metrics")

    told = samples(response.text)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert told["mcp_router_calls_total", (("use_case", "conversation"),)] == 2
    assert told["mcp_router_fallback_calls_total", (("use_case", "conversation"),)] == 1
    assert told["mcp_router_attempts_total", (*GPT[:1], ("outcome", "failed"), *GPT[1:])] == 1
    assert told["mcp_router_attempts_total", (*GPT[:1], ("outcome", "answered"), *GPT[1:])] == 1
    assert told["mcp_router_attempt_seconds_count", GPT] == 1
    assert told["mcp_router_attempt_seconds_bucket", (("le", "120.0"), *GPT)] == 1
    spent = sum(value for (name, _), value in told.items() if name == "mcp_router_cost_usd_total")
    assert spent == pytest.approx(costs["cost_usd"])
    assert told["mcp_router_budget_left_usd", (("budget", "daily"),)] == pytest.approx(5 - costs["cost_usd"])


def test_every_bound_that_is_told_is_one_of_the_ledgers() -> None:
    assert {1000 * seconds for seconds in BUCKET_BOUNDS_S} <= set(BOUNDS_MS)
    assert count_within([1] * len(BUCKETS), 100) == BOUNDS_MS.index(100) + 1


async def test_somebody_left_alone_is_told(tmp_path: Path, vendors: Vendors) -> None:
    vendors.fail("groq", status=401)
    async with site(tmp_path, environment(vendors, "groq", "openai")) as there:
        await there.http.post("/api/llm/generate", json=TASK)
        told = samples((await there.http.get("/metrics")).text)

    ((scope, seconds),) = [(labels, value) for (name, labels), value in told.items() if "benched" in name]
    assert dict(scope)["scope"].startswith("key:groq:")
    assert seconds > 200


async def test_models_that_callers_name_do_not_multiply_without_end(tmp_path: Path, vendors: Vendors) -> None:
    config = "[providers.groq]\nallow_unlisted = true\n"
    async with site(tmp_path, environment(vendors, "groq"), config) as there:
        for number in range(25):
            await there.http.post("/api/llm/generate", json=TASK | {"model": f"groq:model-{number}"})
        told = samples((await there.http.get("/metrics")).text)

    answered = {
        dict(labels)["model"]: value
        for (name, labels), value in told.items()
        if name == "mcp_router_attempts_total" and ("outcome", "answered") in labels
    }
    assert len(answered) == 21
    assert answered["groq:other"] == 5
    assert sum(answered.values()) == 25


async def test_a_client_reads_its_own_figures(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq") | TOKENS, CLIENTS) as there:
        await there.http.post("/api/llm/generate", json=TASK, headers=bearing(ALICE))
        told = {
            token: samples((await there.http.get("/metrics", headers=bearing(token))).text)
            for token in (ALICE, BOB, BOSS)
        }

    calls = ("mcp_router_calls_total", (("use_case", "conversation"),))
    assert [told[token].get(calls) for token in (ALICE, BOB, BOSS)] == [1, None, 1]


async def test_a_server_without_its_ledger_lives_but_is_not_ready_and_logs_why(
    tmp_path: Path, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("not a folder")
    config = f'database_url = "sqlite:///{tmp_path / "taken" / "ledger.sqlite3"}"\n'
    async with site(tmp_path, environment(vendors, "groq"), config) as there:
        live = await there.http.get("/health")
        ready = await there.http.get("/health?ready=1")
        costs = await there.http.get("/api/llm/cost-summary")
        (tmp_path / "taken").unlink()
        with anyio.fail_after(10):
            while not (await there.http.get("/health")).json()["ready"]:
                await anyio.sleep(0.05)

    said = {name: [one.getMessage().split(" the ledger")[0] for one in caplog.records if one.name.endswith(name)]
            for name in ("health", "refusals")}  # fmt: skip
    assert said == {"health": ["not ready: cannot open", "ready again"], "refusals": ["ledger: cannot open"]}
    assert (live.status_code, ready.status_code) == (200, 503)
    assert (live.json()["live"], live.json()["ready"]) == (True, False)
    assert str(tmp_path) not in live.text
    assert (costs.status_code, costs.json()["error"]["kind"]) == (503, "ledger")


async def test_a_server_with_its_ledger_is_ready(tmp_path: Path, vendors: Vendors) -> None:
    async with site(tmp_path, environment(vendors, "groq")) as there:
        ready = await there.http.get("/health?ready=1")

    assert (ready.status_code, ready.json()["ready"]) == (200, True)
