"""One real HTTP server on loopback that is every vendor at once, each under a path of its own."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from providers.catalog import Provider
from providers.registry import load_providers
from tests.vendors.answers import Reply, answer
from tests.vendors.refusals import Refusal, named
from tests.vendors.rules import objection

_LONGEST_HEAD = 65536
_STREAM = "text/event-stream"


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A request as it came."""

    vendor: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(kw_only=True, slots=True)
class Failure:
    """How the next answers of a vendor go wrong."""

    refusal: Refusal | None = None
    how: str = ""
    """`cut`, `malformed`, `silent`, `unfinished`, `cut_stream`, or empty for a refusal."""
    times: int | None = None
    """None: from now on."""


@dataclass(kw_only=True, slots=True)
class Manner:
    """How a vendor behaves at the moment."""

    text: str
    content: bytes | None = None
    failures: deque[Failure] = field(default_factory=deque[Failure])
    delay_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    requests: list[Received] = field(default_factory=list[Received])
    under_way: int = 0
    at_once: int = 0
    """The most that were under way at the same time."""
    hung_up: int = 0
    """How often the client was gone before its answer was written."""
    reply: dict[str, Any] = field(default_factory=dict[str, Any])
    script: Callable[[dict[str, Any]], str] | None = None
    """Returns the answer to a request's body; None answers with `text`."""
    models: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What it lists at `/models`."""

    @contextmanager
    def answering(self) -> Generator[None]:
        """Counts a request as under way."""
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            yield
        finally:
            self.under_way -= 1


class Vendors:
    """Says how each vendor behaves, and what it was asked."""

    def __init__(self, providers: tuple[Provider, ...]) -> None:
        self._rows = {row.name: row for row in providers}
        self._manners = defaultdict[str, Manner](lambda: Manner(text=""))
        for name in self._rows:
            self._manners[name] = Manner(text=f"Hello from {name}.")
        self._script: deque[str] = deque()
        self.port = 0
        self.anyone = "openai"
        """Who answers a path that names no vendor."""

    @property
    def root(self) -> str:
        """The server's address without any path; see `anyone`."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        """A base URL to point this provider at: as its own, but here."""
        return f"{self.root}/as/{name}{urlsplit(self._rows[name].base_url).path}".rstrip("/")

    def add(self, row: Provider) -> None:
        """One more vendor, such as a user's own."""
        self._rows[row.name] = row
        self._manners[row.name] = Manner(text=f"Hello from {row.name}.")

    def says(self, name: str, text: str, **reply: object) -> None:
        """What a vendor answers from now on; `reply` sets fields of `answers.Reply`."""
        self._manners[name].text = text
        self._manners[name].reply = dict(reply)

    def follows(self, name: str, script: Callable[[dict[str, Any]], str]) -> None:
        """A vendor answers each request with what `script` returns for its body."""
        self._manners[name].script = script

    def says_next(self, *texts: str) -> None:
        """The next good answers in this order, whichever vendor gives them; then the usual ones again."""
        self._script = deque(texts)

    def writes(self, name: str, content: bytes | None) -> None:
        """The bytes of every good answer from now on; None is the usual answers again."""
        self._manners[name].content = content

    def serves(self, name: str, *models: str, **about: object) -> None:
        """What a vendor lists from now on; `about` is said of each."""
        self._manners[name].models = [{"id": model, "object": "model", **about} for model in models]

    def heads(self, name: str, **headers: str) -> None:
        """Headers that a vendor adds to every answer; underscores stand for hyphens."""
        self._manners[name].headers = {header.replace("_", "-"): value for header, value in headers.items()}

    def fail(
        self,
        name: str,
        kind: str = "",
        *,
        status: int | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | str | None = None,
        times: int | None = None,
    ) -> None:
        """Make a vendor fail: by a kind of `refusals`, by a way to break (`cut`, `malformed`, `silent`,
        `unfinished`, `cut_stream`), or by a status and body.
        """
        refusal = None
        if status is not None or kind not in {"cut", "malformed", "silent", "unfinished", "cut_stream"}:
            refusal = named(name, kind, status=status, body=body)
            waits = {} if retry_after is None else {"retry-after": str(retry_after)}
            refusal = Refusal(
                status=refusal.status, body=refusal.body, headers={**refusal.headers, **(headers or {}), **waits}
            )
        self._manners[name].failures.append(Failure(refusal=refusal, how="" if refusal else kind, times=times))

    def recover(self, name: str) -> None:
        """Back to good answers."""
        self._manners[name].failures.clear()
        self._manners[name].delay_seconds = 0.0

    def delay(self, name: str, seconds: float) -> None:
        """How long a vendor takes from now on."""
        self._manners[name].delay_seconds = seconds

    def requests(self, name: str) -> list[Received]:
        """What a vendor was asked, first one first."""
        return self._manners[name].requests

    def hung_up(self, name: str) -> int:
        """How often the client had gone before its answer was written."""
        return self._manners[name].hung_up

    def at_once(self, name: str) -> int:
        """How many requests it was answering at the same time, at most."""
        return self._manners[name].at_once

    async def until(self, seen: Callable[[], bool]) -> None:
        """Waits for something to be seen here; bound it with `anyio.fail_after`."""
        while not seen():
            await anyio.sleep(0.002)

    async def serve(self, stream: SocketStream) -> None:
        """One connection, request after request."""
        async with stream:
            try:
                buffered = BufferedByteReceiveStream(stream)
                while await self._exchange(stream, buffered):
                    pass
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.IncompleteRead, anyio.ClosedResourceError):
                return

    async def _exchange(self, stream: SocketStream, buffered: BufferedByteReceiveStream) -> bool:
        head = (await buffered.receive_until(b"\r\n\r\n", _LONGEST_HEAD)).decode("latin-1")
        line, *lines = head.split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
        content = await buffered.receive_exactly(int(headers.get("content-length", "0")))
        vendor, path = self._addressed(target)
        manner = self._manners[vendor]
        body: dict[str, Any] = json.loads(content) if content else {}
        received = Received(vendor=vendor, path=path, headers=headers, body=body)
        manner.requests.append(received)
        failure = _next(manner.failures)
        with manner.answering():
            stayed = await self._waited(manner, buffered, forever=failure is not None and failure.how == "silent")
        if not stayed:
            return False
        if method == "GET":
            await _write(stream, 200, {}, json.dumps({"object": "list", "data": manner.models}).encode())
            return True
        return await self._answered(stream, manner, failure, received)

    async def _answered(
        self, stream: SocketStream, manner: Manner, failure: Failure | None, received: Received
    ) -> bool:
        how = failure.how if failure else ""
        if how == "cut":
            return False
        refusal = failure.refusal if failure else None
        refusal = refusal or objection(self._rows[received.vendor], received.path, received.headers, received.body)
        if refusal is not None and refusal.status >= 400:
            content = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
            await _write(stream, refusal.status, {**manner.headers, **refusal.headers}, content.encode())
            return True
        if manner.content is not None:
            await _write(stream, 200, manner.headers, manner.content)
            return True
        if self._script:
            text = self._script.popleft()
        else:
            text = manner.text if manner.script is None else manner.script(received.body)
        reply = Reply(text=text, unfinished=how in {"unfinished", "cut_stream"}, **manner.reply)
        written = answer(self._rows[received.vendor], received.path, received.body, reply, refusal and refusal.body)
        if how == "malformed":
            written = (
                [written[0][: len(written[0]) // 2]] if isinstance(written, list) else written[: len(written) // 2]
            )
        if isinstance(written, bytes):
            await _write(stream, 200, manner.headers, written)
            return True
        await _stream(stream, manner.headers, written, cut=how == "cut_stream")
        return how != "cut_stream"

    async def _waited(self, manner: Manner, buffered: BufferedByteReceiveStream, *, forever: bool) -> bool:
        if not forever and not manner.delay_seconds:
            return True
        # A client that hangs up is seen at once, as the end of what it sends.
        with anyio.move_on_after(None if forever else manner.delay_seconds):
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await buffered.receive(1)
            manner.hung_up += 1
            return False
        return True

    def _addressed(self, target: str) -> tuple[str, str]:
        # `/as/` keeps apart the vendor openai and Groq's path, which starts with that word.
        _, prefix, name, *rest = [*target.split("/", 3), "", ""]
        return (name, f"/{rest[0]}") if prefix == "as" and name in self._rows else (self.anyone, target)


@asynccontextmanager
async def vendor_server(port: int = 0) -> AsyncGenerator[Vendors, None]:
    """Every shipped provider's vendor, on one loopback port."""
    vendors = Vendors(load_providers())
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    vendors.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, vendors.serve)
        yield vendors
        serving.cancel_scope.cancel()


def _next(failures: deque[Failure]) -> Failure | None:
    if not failures:
        return None
    failure = failures[0]
    if failure.times is not None:
        failure.times -= 1
        if failure.times <= 0:
            failures.popleft()
    return failure


async def _write(stream: SocketStream, status: int, headers: Mapping[str, str], content: bytes) -> None:
    told = {"content-type": "application/json", "content-length": str(len(content)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    await stream.send(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + content)


async def _stream(stream: SocketStream, headers: Mapping[str, str], events: list[bytes], *, cut: bool) -> None:
    told = {"content-type": _STREAM, "transfer-encoding": "chunked", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    await stream.send(f"HTTP/1.1 200 Said\r\n{lines}\r\n".encode())
    for event in events:
        await stream.send(f"{len(event):x}\r\n".encode() + event + b"\r\n")
    if not cut:
        await stream.send(b"0\r\n\r\n")
