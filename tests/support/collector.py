"""Takes spans as OpenTelemetry's own collector does, on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream


@dataclass(kw_only=True, slots=True)
class Collector:
    """Takes spans as OpenTelemetry's own collector does."""

    port: int = 0
    received: list[bytes] = field(default_factory=list[bytes])

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            buffered = BufferedByteReceiveStream(stream)
            try:
                while True:
                    head = (await buffered.receive_until(b"\r\n\r\n", 65_536)).decode().lower()
                    length = int(head.split("content-length:")[1].split("\r\n")[0])
                    self.received.append(await buffered.receive_exactly(length))
                    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return

    def spans(self) -> dict[str, Any]:
        """What came, by name."""
        service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        found: dict[str, Any] = {}
        for content in self.received:
            for resource in service.ExportTraceServiceRequest.FromString(content).resource_spans:
                for scope in resource.scope_spans:
                    found |= {span.name: span for span in scope.spans}
        return found


@asynccontextmanager
async def collecting() -> AsyncGenerator[Collector]:
    collector = Collector()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    collector.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, collector.serve)
        yield collector
        serving.cancel_scope.cancel()
