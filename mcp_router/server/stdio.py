"""MCP over standard input and output, until the host closes the input or a signal ends the process."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage

from mcp_router.server.json_lines import parse_line, reject_long_line

_MAX_LINE_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_MIN_FD = 3  # below it are the standard streams
_MAX_EXIT_S = 4.5
"""Time from a signal or the end of the input until the process is ended by force."""
_MAX_LAST_WRITES_S = 1.0

R = TypeVar("R")
_Parsed = types.JSONRPCMessage | tuple[types.JSONRPCError, ...]


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one host. At the end of the input, and on SIGTERM, SIGHUP or SIGINT, calls in flight are cancelled and
    settled. The process ends within 5 s even if one of them, or the host, blocks.
    """
    source, target = _claim_standard_streams()
    wire = _Wire(source, target)
    incoming, to_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_server, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as writing:
        writing.start_soon(wire.write_messages, outgoing)
        async with anyio.create_task_group() as serving:
            serving.start_soon(wire.read_messages, incoming, from_server.clone())
            serving.start_soon(_cancel_on_signal, serving.cancel_scope)
            serving.start_soon(wire.cancel_on_hang_up, serving.cancel_scope)
            # The server closes both streams when it returns, also if it is cancelled.
            await server.run(to_server, from_server, server.create_initialization_options())
            serving.cancel_scope.cancel()
        _end_process_after(_MAX_EXIT_S)
        with anyio.move_on_after(_MAX_LAST_WRITES_S):
            await wire.written.wait()
        writing.cancel_scope.cancel()


class _Wire:
    """The two pipes to the host. Reads and writes block in daemon threads, which cannot delay the process's end."""

    def __init__(self, source: int, target: int) -> None:
        self._lines = _Lines(source)
        self._target = target
        self._reader, self._writer = _DaemonThread("stdin"), _DaemonThread("stdout")
        self._input_ended = False
        self._hung_up = anyio.Event()
        self.written = anyio.Event()
        """Set once nothing more will be written."""

    async def read_messages(
        self,
        messages: MemoryObjectSendStream[SessionMessage | Exception],
        answers: MemoryObjectSendStream[SessionMessage],
    ) -> None:
        """Hand every message to the server, and answer every line that is none, until the input ends."""
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async with messages, answers:
                while (parsed := await self._reader.run(self._lines.read)) is not None:
                    for one in parsed:
                        if isinstance(one, tuple):
                            for error in one:
                                await answers.send(SessionMessage(error))
                        else:
                            await messages.send(SessionMessage(one))
                self._input_ended = True

    async def write_messages(self, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Write every message to the host; none after its input ended or it closed the output."""
        async with messages:
            async for message in messages:
                if self._input_ended or self._hung_up.is_set():
                    continue
                try:
                    await self._writer.run(partial(_write_all, self._target, _to_line(message.message)))
                except OSError:
                    self._hung_up.set()
        self.written.set()

    async def cancel_on_hang_up(self, scope: anyio.CancelScope) -> None:
        """Cancel the scope when the host closes the output."""
        await self._hung_up.wait()
        scope.cancel()


class _Lines:
    """Lines of a pipe, parsed as they arrive."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._rest = bytearray()
        self._long_head: bytes | None = None
        self._ended = False

    def read(self) -> list[_Parsed] | None:
        """Wait for input and return what its complete lines contain; None at the end of the input."""
        if self._ended:
            return None
        try:
            chunk = os.read(self._source, _CHUNK_BYTES)
        except OSError:
            chunk = b""
        if not chunk:
            self._ended = True
            return [self._parse(bytes(self._rest))] if self._rest or self._long_head is not None else None
        *complete, rest = chunk.split(b"\n")
        parsed: list[_Parsed] = []
        for piece in complete:
            self._append(piece)
            parsed.append(self._parse(bytes(self._rest)))
            self._rest.clear()
        self._append(rest)
        return parsed

    def _append(self, piece: bytes) -> None:
        if self._long_head is not None:
            return
        self._rest += piece
        if len(self._rest) > _MAX_LINE_BYTES:
            self._long_head = bytes(self._rest[:_HEAD_BYTES])
            self._rest.clear()

    def _parse(self, line: bytes) -> _Parsed:
        if self._long_head is None:
            return parse_line(line)
        head, self._long_head = self._long_head, None
        return (reject_long_line(head, _MAX_LINE_BYTES),)


class _DaemonThread:
    """A thread that runs one blocking function after another. The interpreter does not wait for it at its exit."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._run_jobs, name=f"mcp-llm-router {name}", daemon=True).start()

    async def run(self, function: Callable[[], R]) -> R:
        """Return what the function returns, or raise what it raises. Cancelling does not stop the function."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[R] = loop.create_future()

        def settle(result: R | None, error: OSError | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # the function's own result

        def job() -> None:
            result: R | None = None
            error: OSError | None = None
            try:
                result = function()
            except OSError as exc:
                error = exc
            with suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(settle, result, error)

        self._jobs.put(job)
        return await done

    def _run_jobs(self) -> None:
        while True:
            self._jobs.get()()


def _to_line(message: types.JSONRPCMessage) -> bytes:
    try:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:
        # A lone surrogate, for example in a file name: JSON can escape it, pydantic cannot.
        text = json.dumps(message.model_dump(by_alias=True, exclude_unset=True), default=str)
    return text.encode() + b"\n"


def _write_all(target: int, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[os.write(target, view) :]


def _claim_standard_streams() -> tuple[int, int]:
    """Return private descriptors of stdin and stdout. From then on, stray prints of libraries go to stderr."""
    source, target = _duplicate(0), _duplicate(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return source, target


def _duplicate(descriptor: int) -> int:
    if sys.platform == "win32":
        return os.dup(descriptor)
    import fcntl  # noqa: PLC0415 -- POSIX only

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _MIN_FD)


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    if sys.platform == "win32":
        return  # its event loop takes no handlers; Ctrl-C raises KeyboardInterrupt
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP, signal.SIGINT) as signals:
        async for number in signals:
            _end_process_after(_MAX_EXIT_S, 128 + number)
            scope.cancel()


def _end_process_after(seconds: float, code: int = 1) -> None:
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()
