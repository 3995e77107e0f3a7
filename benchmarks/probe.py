"""Calls a model through one library or server, as often as told, and says how long each call took.

`python -P benchmarks/probe.py KIND URL[,URL] [COMMAND ...]` runs in the environment of the library it measures, so it
needs nothing of this project but for the kinds that are ours. It reads orders from standard input, `one N` (one after
the other), `many N` (all at once), `ping N` (all at once, with pings), `brief N` (as `one`,
with a short timeout) or `forget 0` (who failed before), and answers each with a line of JSON. The second URL
is the fallback; the word `brief` after the URLs lets a model be silent for a second only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import anyio.to_thread

KEY = "sk-benchmark-0123456789abcdef"
CONFIG = """
[budgets]
daily_usd = 1000
monthly_usd = 10000
[routes.classification]
ultra_economy = ["openai:gpt-6-luna", "claude:claude-haiku-5-5"]
[providers.embedded]
enabled = false
"""
BRIEF = "[providers.openai]\ntimeout_s = 1\n"
PATIENCE = 10
"""Seconds until an order for `brief` calls gives up on one."""
NAMED = {"use_case": "classification", "complexity": "simple", "budget_tier": "economy", "model": "openai:gpt-6-luna"}

Call = Callable[[], Awaitable[object]]
Json = dict[str, Any]
_numbers = count()


def prompt() -> str:
    """Return a prompt that was not used before."""
    return f"Classify this ticket as billing, bug or praise. Ticket {next(_numbers)}: The app crashes on settings."


def messages() -> list[dict[str, str]]:
    """Return it as messages of Chat Completions."""
    return [{"role": "user", "content": prompt()}]


def body() -> Json:
    """Return the body that every contender sends."""
    return {"model": "gpt-6-luna", "messages": messages(), "max_completion_tokens": 256}


def environment(home: str, url: str, *, brief: bool = False) -> dict[str, str]:
    """Return the environment that points a server at the upstream."""
    first, _, second = url.partition(",")
    named = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": first, "OPENAI_API_BASE": first, "LITELLM_LOG": "ERROR"}
    if second:
        named |= {"ANTHROPIC_API_KEY": KEY, "CLAUDE_BASE_URL": second.removesuffix("/v1")}
    return {"HOME": home, "PATH": os.environ["PATH"], "MCP_ROUTER_CONFIG": configured(home, brief=brief), **named}


def configured(home: str, *, brief: bool = False) -> str:
    """Write a configuration with budgets, so money is held and settled."""
    path = Path(home) / "config.toml"
    path.write_text(f'database_url = "sqlite:///{home}/ledger.sqlite3"\n{CONFIG}{BRIEF if brief else ""}')
    return str(path)


@asynccontextmanager
async def httpx_client(url: str, _command: list[str]) -> AsyncGenerator[Call]:
    """Create a bare HTTP client."""
    httpx: Any = import_module("httpx")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client:

        async def call() -> object:
            answer = await client.post(f"{url}/chat/completions", json=body())
            return answer.json()["choices"][0]["message"]["content"]

        yield call


@asynccontextmanager
async def openai_sdk(url: str, _command: list[str]) -> AsyncGenerator[Call]:
    """Create the vendor's own SDK client."""
    openai: Any = import_module("openai")
    async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client:

        async def call() -> object:
            answer = await client.chat.completions.create(**body())
            return answer.choices[0].message.content

        yield call


@asynccontextmanager
async def ours(url: str, command: list[str]) -> AsyncGenerator[Call]:
    """Our router in this process, with a ledger and budgets; `named` leaves nothing to infer."""
    delegating, app, requests = (import_module(f"mcp_router.{room}") for room in ("delegating", "app", "requests"))
    settings = import_module("mcp_router.settings")
    given = NAMED if command == ["named"] else {}
    with tempfile.TemporaryDirectory() as home:
        environ = environment(home, url, brief="brief" in command)
        async with app.running(settings.load(environ["MCP_ROUTER_CONFIG"], environ)) as running:

            async def call() -> object:
                arguments = requests.checked(requests.GenerateArguments, {"prompt": prompt(), **given})
                return (await delegating.generate(running, arguments))["text"]

            async def forget() -> None:
                for breaker in (await running.ledger.read_availability(time.time())).breakers:
                    await running.ledger.close_breaker(breaker.scope)

            setattr(call, "forget", forget)  # noqa: B010 - carried along for the order of that name
            yield call


@asynccontextmanager
async def litellm_sdk(url: str, _command: list[str]) -> AsyncGenerator[Call]:
    """LiteLLM's function."""
    litellm: Any = import_module("litellm")

    async def call() -> object:
        answer = await litellm.acompletion(**_litellm(url), messages=messages(), max_completion_tokens=256)
        return answer.choices[0].message.content

    yield call


@asynccontextmanager
async def litellm_router(url: str, command: list[str]) -> AsyncGenerator[Call]:
    """LiteLLM's router with one fallback."""
    litellm: Any = import_module("litellm")
    urls = {"first": url.split(",", maxsplit=1)[0], "second": url.rsplit(",", maxsplit=1)[-1]}
    patience = {"timeout": 1} if "brief" in command else {}
    models = [{"model_name": name, "litellm_params": _litellm(at) | patience} for name, at in urls.items()]
    # Each measured failure must be met: no breaker stays open.
    router = litellm.Router(model_list=models, fallbacks=[{"first": ["second"]}], disable_cooldowns="brief" in command)

    async def call() -> object:
        answer = await router.acompletion(model="first", messages=messages(), max_completion_tokens=256)
        return answer.choices[0].message.content

    yield call


def _litellm(url: str) -> Json:
    # A model whose price it knows, so that it does what it does for users.
    return {"model": "openai/gpt-4o-mini", "api_base": url, "api_key": KEY}


@asynccontextmanager
async def pydantic_ai(url: str, command: list[str]) -> AsyncGenerator[Call]:
    """Create an agent over a FallbackModel of two."""
    agents, models = import_module("pydantic_ai"), import_module("pydantic_ai.models.openai")
    provider: Any = import_module("pydantic_ai.providers.openai").OpenAIProvider
    fallback = import_module("pydantic_ai.models.fallback").FallbackModel
    first, second = (
        models.OpenAIChatModel("gpt-4o-mini", provider=provider(base_url=at, api_key=KEY))
        for at in (url.split(",", maxsplit=1)[0], url.rsplit(",", maxsplit=1)[-1])
    )
    agent = agents.Agent(fallback(first, second), model_settings={"timeout": 1} if "brief" in command else None)

    async def call() -> object:
        return (await agent.run(prompt())).output

    yield call


@asynccontextmanager
async def mcp(url: str, command: list[str]) -> AsyncGenerator[Call]:
    """Start a server over stdio: its command, the tool, and the tool's other arguments as JSON."""
    sdk: Any = import_module("mcp")
    *command, tool, given = command
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        parameters = sdk.StdioServerParameters(
            command=command[0], args=command[1:], env=environment(home, url), cwd=home
        )
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - no file
            transport = import_module("mcp.client.stdio").stdio_client(parameters, errlog=nowhere)
            async with sdk.Client(transport, mode="legacy") as client:
                call = _tool_call(client, tool, json.loads(given))
                setattr(call, "ping", client.send_ping)  # noqa: B010 - carried along for `pinged`
                yield call


def _tool_call(client: Any, tool: str, given: Json) -> Call:  # noqa: ANN401 - the SDK of either generation
    async def call() -> object:
        answer = await client.call_tool(tool, {"prompt": prompt(), **given})
        if answer.is_error:
            raise SystemExit(f"{tool}: {answer.content}")
        return answer.content[0].text

    return call


KINDS = {
    "httpx": httpx_client,
    "openai": openai_sdk,
    "ours": ours,
    "litellm": litellm_sdk,
    "litellm_router": litellm_router,
    "pydantic_ai": pydantic_ai,
    "mcp": mcp,
}


async def timed(call: Call) -> float:
    """Milliseconds one call takes."""
    began = perf_counter()
    answer = await call()
    if "bug" not in str(answer):
        raise SystemExit(f"not the upstream's answer: {answer}")
    return 1_000 * (perf_counter() - began)


async def one_by_one(call: Call, times: int) -> Json:
    """Call after call."""
    return {"each_ms": [await timed(call) for _ in range(times)]}


async def side_by_side(call: Call, times: int) -> Json:
    """All at once."""
    began = perf_counter()
    async with anyio.create_task_group() as calls:
        for _ in range(times):
            calls.start_soon(timed, call)
    return {"all_ms": 1_000 * (perf_counter() - began)}


async def pinged(call: Call, times: int) -> Json:
    """Run all at once, and measure pings at the same time."""
    ping: Call | None = getattr(call, "ping", None)
    taken: list[float] = []

    async def pinging() -> None:
        while ping is not None:
            began = perf_counter()
            await ping()
            taken.append(1_000 * (perf_counter() - began))
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as group:
        group.start_soon(pinging)
        await side_by_side(call, times)
        group.cancel_scope.cancel()
    return {"pings_ms": taken}


async def briefly(call: Call, times: int) -> Json:
    """Call after call, however each ends."""
    for _ in range(times):
        with anyio.move_on_after(PATIENCE):
            await call()
    return {}


async def forgotten(call: Call, _times: int) -> Json:
    """Close every breaker."""
    forget: Call | None = getattr(call, "forget", None)
    if forget is not None:
        await forget()
    return {}


ORDERS = {"one": one_by_one, "many": side_by_side, "ping": pinged, "brief": briefly, "forget": forgotten}


async def main(kind: str, url: str, command: list[str]) -> None:
    """Obey until standard input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    warnings.simplefilter("ignore")
    async with KINDS[kind](url, command) as call:
        while order := await anyio.to_thread.run_sync(sys.stdin.readline):
            what, times = order.split()
            answer = await ORDERS[what](call, int(times))
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3:])
