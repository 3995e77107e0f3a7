"""Looks for keys and prompts in everything that anybody wrote: streams, files, metrics, errors, dashboard, traces."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.chaos import books, servers
from tests.chaos.ground import Figures, Ground
from tests.chaos.servers import Http, Said, Stdio
from tests.chaos.upstream import Vendor
from tests.support.collector import collecting

Json = dict[str, Any]

_STATUSES = (400, 401, 403, 404, 429, 500, 529)
_VIEWS = (
    "/metrics",
    "/health",
    "/",
    "/api/llm/providers",
    "/api/llm/cost-summary?period=all&group_by=model",
    "/api/openapi.json",
    "/api/dashboard/overview",
    "/api/dashboard/calls",
)
_KEY_PIECE, _PROMPT_PIECE = 12, 24
_UPSTREAM = {"upstream.log"}
"""What the fake writes is not ours."""


async def run(ground: Ground) -> Figures:
    """Have every vendor repeat key and prompt in every refusal, look at every view, then search all of it."""
    figures = Figures(part="keys and prompts searched for")
    room = ground.room("leaking")
    config = servers.configured(ground, room)
    await ground.upstream.forget()
    seen: list[bytes] = []
    (room / f"{ground.prompt}.md").write_text(f"{ground.prompt}\n", "utf-8")
    async with collecting() as traces:
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{traces.port}", "OTEL_BSP_SCHEDULE_DELAY": "200"}
        async with (
            servers.stdio(ground, room, config, more=more) as stdio,
            servers.http(ground, room, config, more=more) as http,
        ):
            await servers.warmed_up(ground, stdio.call)
            for vendor in ground.vendors:
                for status in _STATUSES if ground.size.every_fault else _STATUSES[1:5:3]:
                    seen += await _repeated(ground, stdio, http, vendor, status)
            seen += await _views(http)
        seen += traces.received
    read = await books.opened(ground, room, config)
    books.demand_whole(figures, read, set())
    places = search(figures, ground.folder, seen, ground.keys, ground.prompt)
    figures.demand(traces.received, "no traces came")
    figures.did = (
        f"{len(ground.keys)} keys and a prompt, repeated by vendors in refusals ({len(read.rows)} attempts), then "
        "sought by pieces, plain and in base64"
    )
    figures.found = "none in " + ", ".join(f"{count} {what}" for what, count in places.items())
    return figures


async def _repeated(ground: Ground, stdio: Stdio, http: Http, vendor: Vendor, status: int) -> list[bytes]:
    """One refusal that quotes the key and the prompt, through every door."""
    key, arguments = ground.keys[vendor.key], _arguments(ground, vendor)
    message = f"Incorrect API key provided: {key}. You sent: {ground.prompt} ({quote(key)})"
    refusal = {"type": "fail", "status": status, "message": message, "match": {"path": vendor.asked}}
    said: list[Said] = []
    for server in (stdio, http):
        await ground.upstream.behave(refusal)
        said.append(await server.call("generate", arguments))
    await ground.upstream.behave(refusal)
    said.append(await http.call("generate", arguments, stream=True))
    said.append(await stdio.call("explain_route", {"call_id": said[0].answer.get("call_id", "0")}))
    said.append(await stdio.call("cost_summary", {"period": "all", "group_by": "model"}))
    said.append(await stdio.call("list_providers", {"provider": vendor.name}))
    await ground.upstream.recover()
    return [one.text.encode() for one in said]


def _arguments(ground: Ground, vendor: Vendor) -> Json:
    routed = {"model": None, "use_case": servers.routed()[vendor.name]}
    words = {"system": ground.prompt, "files": [f"{ground.prompt}.md"]}
    return {**servers.asking(ground, vendor, ground.prompt), **routed, **words}


async def _views(http: Http) -> list[bytes]:
    found: list[bytes] = []
    for view in _VIEWS:
        reply = await http.http.get(view)
        reply.raise_for_status()
        found.append(reply.content)
    return found


def search(
    figures: Figures, folder: Path, seen: list[bytes], keys: Mapping[str, str], prompt: str
) -> Mapping[str, int]:
    """Look for secrets in what was said and in every file; how many of which kind were searched."""
    places: Counter[str] = Counter({"answers, errors, views and traces": len(seen)})
    sought = {variable: tuple(_pieces(key, _KEY_PIECE)) for variable, key in keys.items()}
    sought["the prompt"] = tuple(_pieces(prompt, _PROMPT_PIECE))
    for where, content in _everything(folder, seen, places):
        leaked = [name for name, pieces in sought.items() if any(piece in content for piece in pieces)]
        figures.demand(not leaked, f"{where}: holds a piece of {', '.join(leaked)}")
    return places


def _pieces(secret: str, size: int) -> Iterator[bytes]:
    for start in range(len(secret) - size + 1):
        yield secret[start : start + size].encode()
    for shift in range(3):  # base64 of a text depends on where it begins
        yield base64.b64encode(secret[shift:].encode())[: 4 * size // 3]


def _everything(folder: Path, seen: Iterable[bytes], places: Counter[str]) -> Iterator[tuple[str, bytes]]:
    for content in seen:
        yield f"what was said: {content[:120]!r}", content
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in _UPSTREAM or path.suffix == ".md":
            continue
        kind = path.suffix.removeprefix(".").split("-")[0] or "other"
        places[f"{kind} files"] += 1
        yield str(path.relative_to(folder)), path.read_bytes()
