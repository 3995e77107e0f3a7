"""Thousands of calls with whatever the tools' published schemas admit, and with what they do not."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_router.server.tools import TOOLS
from tests.chaos import books, servers
from tests.chaos.ground import Figures, Ground
from tests.chaos.servers import PATIENCE_SECONDS, Said

Json = dict[str, Any]
Call = Callable[[str, Json], Awaitable[Said]]

_AT_ONCE = 8
_WORDS = re.compile(r"^[a-z_]+: \S.{7,}", re.DOTALL)
"""What an agent can act on begins with the kind of failure, and goes on."""
_SCHEMAS = ({"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}, {"enum": ["yes", "no"]})
_NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
_SIMPLE = {
    "string": st.text(),
    "boolean": st.booleans(),
    "integer": st.integers(-(2**70), 2**70) | st.integers(1, 500),
    "number": _NUMBERS | st.floats(0, 1),
}
_ANYTHING = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@dataclass(kw_only=True, slots=True)
class _Seen:
    calls: Counter[str] = field(default_factory=Counter[str])
    answered: Counter[str] = field(default_factory=Counter[str])
    told: Counter[str] = field(default_factory=Counter[str])
    call_ids: set[str] = field(default_factory=set[str])


async def run(ground: Ground) -> Figures:
    """Call every tool with made-up arguments through both doors."""
    figures, seen = Figures(part="fuzzed tool calls"), _Seen()
    room = ground.room("fuzzing")
    (room / "notes.md").write_text("Notes for the files argument.\n", "utf-8")
    config = servers.configured(ground, room)
    await ground.upstream.forget()
    async with servers.stdio(ground, room, config) as stdio, servers.http(ground, room, config) as http:
        await servers.warmed_up(ground, stdio.call)
        await _through(ground, "stdio", stdio.call, seen, figures)
        figures.demand("result" in await stdio.request("ping"), "no answer to ping any more")
        figures.demand(not stdio.stray, f"lines that are no message: {stdio.stray[:1]}")
        async with Client(streamable_http_client(f"{http.url}/mcp"), mode="legacy") as client:

            async def over_http(tool: str, arguments: Json) -> Said:
                result = await client.call_tool(tool, arguments)
                text = getattr(result.content[0], "text", "") if result.content else ""
                return Said(error=result.is_error, text=text, answer=result.structured_content or {})

            await _through(ground, "http", over_http, seen, figures)
            figures.demand((await client.list_tools()).tools, "no answer over HTTP any more")
        figures.demand(http.process.returncode is None, "the server over HTTP is gone")
    read = await books.opened(ground, room, config)
    books.demand_whole(figures, read, seen.call_ids)
    total = seen.calls.total()
    figures.did = f"{total} calls: " + ", ".join(f"{count} {tool}" for tool, count in seen.calls.items())
    kinds = ", ".join(f"{count} {kind}" for kind, count in seen.told.most_common())
    figures.found = (
        f"{seen.answered.total()} answered, {seen.told.total()} refused in words ({kinds}); no protocol error"
    )
    return figures


async def _through(ground: Ground, door: str, call: Call, seen: _Seen, figures: Figures) -> None:
    for tool in TOOLS:
        models = tuple(f"{vendor.name}:{vendor.model}" for vendor in ground.vendors)
        waiting = made_up(ground.size.fuzzed, tool.input_schema, prompt=ground.prompt, models=models)
        seen.calls[tool.name] += len(waiting)
        async with anyio.create_task_group() as workers:
            for _ in range(_AT_ONCE):
                workers.start_soon(_worker, tool, waiting, door, call, (seen, figures))


async def _worker(tool: types.Tool, waiting: list[Json], door: str, call: Call, to: tuple[_Seen, Figures]) -> None:
    seen, figures = to
    while waiting:
        arguments = waiting.pop()
        try:
            with anyio.fail_after(PATIENCE_SECONDS):
                said = await call(tool.name, arguments)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is a finding, and the run goes on
            figures.broken.append(f"{door}: {type(exc).__name__} {exc!s:.200}: {tool.name} {arguments!r:.300}")
        else:
            _judge(tool, arguments, said, seen, figures)


def _judge(tool: types.Tool, arguments: Json, said: Said, seen: _Seen, figures: Figures) -> None:
    shown = f"{tool.name} {json.dumps(arguments)[:300]}"
    if said.error:
        seen.told[said.text.partition(":")[0]] += 1
        figures.demand(_WORDS.match(said.text), f"{shown}: {said.text[:200]!r} is nothing to act on")
        figures.demand("Traceback" not in said.text, f"{shown}: a traceback")
        return
    seen.answered[tool.name] += 1
    wrong = next(Draft202012Validator(tool.output_schema or {}).iter_errors(said.answer), None)
    figures.demand(wrong is None, f"{shown}: the answer is not what the output schema says: {wrong}")
    if tool.name == "generate":
        seen.call_ids.add(said.answer["call_id"])


def made_up(count: int, schema: Json, *, prompt: str, models: tuple[str, ...]) -> list[Json]:
    """Arguments for a tool: as its schema says, with a prompt and a model that there is, or anything at all."""
    found: list[Json] = []
    proper = admitted(schema)
    plausible = proper.map(lambda drawn: _plausible(drawn, prompt, models))
    improper = st.dictionaries(st.sampled_from([*schema["properties"], "unheard_of"]), _ANYTHING, max_size=4)

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(proper, plausible, improper))
    def collect(arguments: Json) -> None:
        found.append(_harmless(arguments))

    collect()
    return found


def admitted(schema: Json) -> st.SearchStrategy[Any]:
    """Whatever a schema admits; it knows the words that our tools' schemas are written in, and no others."""
    match schema:
        case {"enum": names}:
            return st.sampled_from(names)
        case {"type": str(name)} if name in _SIMPLE:
            return _SIMPLE[name]
        case {"type": "array", "items": items}:
            return st.lists(admitted(items), max_size=3)
        case {"type": "object", "properties": properties}:
            named = {name: admitted(of) for name, of in properties.items()}
            required = {name: named.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(required, optional=named)
        case {"type": "object"}:
            return st.dictionaries(st.text(max_size=8), _ANYTHING, max_size=3) | st.sampled_from(_SCHEMAS)
        case _:
            raise ValueError(f"this schema uses a word that is not known here: {schema}")


def _plausible(drawn: Json, prompt: str, models: tuple[str, ...]) -> Json:
    """The same, but more of it gets past the first check."""
    if "prompt" not in drawn:
        return drawn
    sure = ("system", "temperature", "max_output_tokens", "max_cost_usd", "save_to", "overwrite")
    kept = {name: value for name, value in drawn.items() if name in sure or len(str(value)) % 3 == 0}
    kept.pop("messages", None)
    return {**kept, "prompt": f"{prompt} {drawn['prompt']}", "model": models[len(drawn) % len(models)]}


def _harmless(arguments: Json) -> Json:
    """Names of files stay short: a folder of thousands of them tells nobody more."""
    target = arguments.get("save_to")
    return {**arguments, "save_to": target[:64]} if isinstance(target, str) else arguments
