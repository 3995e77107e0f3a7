"""The real Claude Code in a terminal (a pty), before a scripted model that calls `generate` once."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import anyio

from tests.support.scripted import Json, said, used

BACK, WOKEN, GO = "CONTROL-IS-BACK", "WOKEN-WITH-RESULT", "GO-NOW"
_TOOL = "mcp__llm-router__generate"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[()][0-9A-B]|\x1b[=>78M]")


class OneCallModel:
    """A model that calls the tool after `GO-NOW`, and says whether it sees the tool's result."""

    def __init__(self, arguments: Json) -> None:
        self.arguments = arguments
        self.port = 0
        self.called_at = 0.0
        self.back_at = 0.0
        """When the model was asked again after its call."""
        self.wake = ""
        """The message that brought the result."""

    def events(self, body: Json) -> Generator[str]:
        """Answer a request for a message."""
        whole = json.dumps(body["messages"])
        names = [tool["name"] for tool in body.get("tools", [])]
        calls = whole.count(f'"name": "{_TOOL}"')
        if '\\"answered\\"' in whole:
            self.wake = whole
            yield from said(WOKEN, body)
        elif not names or GO not in whole:
            yield from said("ok", body)
        elif calls:
            self.back_at = self.back_at or time.monotonic()
            yield from said(BACK, body)
        elif _TOOL not in names and f"select:{_TOOL}" not in whole:
            yield from used("ToolSearch", {"query": f"select:{_TOOL}"}, body)
        else:
            self.called_at = time.monotonic()
            yield from used(_TOOL, self.arguments, body)


@contextmanager
def one_call_model(arguments: Json) -> Generator[OneCallModel]:
    """Serve the model on loopback."""
    model = OneCallModel(arguments)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body: Json = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            counted = "count_tokens" in self.path
            content = '{"input_tokens": 10}' if counted else "".join(model.events(body))
            self._send(content.encode(), "text/event-stream" if body.get("stream") else "application/json")

        def do_GET(self) -> None:
            self._send(b'{"data":[]}', "application/json")

        def do_HEAD(self) -> None:
            self._send(b"", "application/json")

        def _send(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        model.port = server.server_port
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()


class Terminal:
    """A program in a pty."""

    def __init__(self, program: Path, arguments: list[str], folder: Path, environ: dict[str, str]) -> None:
        self._screen = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(program, [str(program), *arguments], environ)  # noqa: S606 - the program that is tested
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        Thread(target=self._read, daemon=True).start()

    @property
    def text(self) -> str:
        """All that was ever shown, without escape sequences and spaces: the screen is drawn in pieces."""
        return re.sub(r"\s+", "", _ESCAPES.sub(" ", self._screen))

    async def until(self, *words: str, seconds: float = 60) -> None:
        """Wait until one of these was shown."""
        try:
            with anyio.fail_after(seconds):
                while not any(word.replace(" ", "") in self.text for word in words):
                    await anyio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{words} never shown: {self.text[-2000:]}") from None

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def kill(self) -> None:
        """Kill the program and all that it started."""
        for pid in (*_descendants(self.pid), self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self._fd, 65536):
                self._screen += data.decode("utf-8", "replace")


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                child = int(status.parent.name)
                found += [*_descendants(child), child]
    return found
