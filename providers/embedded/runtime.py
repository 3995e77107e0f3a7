"""A llama.cpp model loaded into this process: what runs in a worker thread for the embedded wire.

The runtime is https://github.com/xorbitsai/xllamacpp: llama.cpp's own server, called without HTTP.
"""

from __future__ import annotations

import importlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from providers.completion import FinishReason, Usage
from providers.embedded.labels import Classification
from providers.errors import (
    BrokenAnswerError,
    ContextLengthError,
    EmptyAnswerError,
    InvalidRequestError,
    ModelNotFoundError,
    UnavailableError,
)

SMALLEST_WINDOW = 2048
"""The window to start with: about 200 MB with the shipped weights, where 8,192 tokens take 340."""
BATCH = 64
"""Tokens of a prompt read between two looks at the stop flag: about 0.3 s on one busy core."""

Chunk = Mapping[str, Any]
"""One event of llama.cpp's stream, as JSON: only this module and its tests read inside."""
OnDelta = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One question as llama.cpp takes it."""

    kind: Literal["chat", "text"]
    """`chat` goes through the model's own template, `text` is continued as it stands."""
    body: Mapping[str, object]
    estimated_input_tokens: int
    """From the length of the text, rather too many; the exact count is llama.cpp's."""
    room_tokens: int
    """What the window must leave for the answer, if the model's own window is large enough."""
    classification: Classification | None = None
    """Set if the answer is one of the labels that the prompt or its schema names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the model said, and how it ended."""

    text: str
    finish_reason: FinishReason
    usage: Usage


class _Server(Protocol):
    def handle_chat_completions(self, prompt: Mapping[str, object], callback: Callable[[Chunk], bool]) -> None: ...

    def handle_completions(self, prompt: Mapping[str, object], callback: Callable[[Chunk], bool]) -> None: ...


class _TooLongError(Exception):
    def __init__(self, *, prompt_tokens: int, window: int) -> None:
        super().__init__(prompt_tokens, window)
        self.prompt_tokens = prompt_tokens
        self.window = window


class Runtime:
    """The loaded model and its window. The window grows when a prompt needs it: loading again takes
    0.2 s, and most prompts never need the memory of a long one. The binding keeps the interpreter's lock
    while it loads and frees; it gives it up while it answers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loading = threading.Lock()
        self._server: _Server | None = None
        self._window = 0
        self.loads = 0
        """How often the weights were read."""

    def answer(self, ask: Ask, *, most_tokens: int, stop: threading.Event, on_delta: OnDelta) -> Answer | None:
        """Load if need be, ask, and hand every piece of text to `on_delta`; None once `stop` was set.

        Raises:
            ProviderError: The model cannot be loaded, the prompt is too long, or nothing usable came back.
        """
        # Where the guess says too long, any window will do to have the prompt counted.
        needed = ask.estimated_input_tokens + ask.room_tokens if ask.estimated_input_tokens < most_tokens else 0
        try:
            return _ask(self._loaded(needed, most_tokens), ask, stop, on_delta)
        except _TooLongError as refused:
            if refused.prompt_tokens >= most_tokens:
                raise _context_length(refused.prompt_tokens, most_tokens) from None
            needed = refused.prompt_tokens + ask.room_tokens
        try:
            return _ask(self._loaded(needed, most_tokens), ask, stop, on_delta)
        except _TooLongError as refused:
            raise _context_length(refused.prompt_tokens, refused.window) from None

    def close(self) -> None:
        """Give the memory back, once the last answer under way has ended."""
        with self._loading:
            self._server = None
            self._window = 0

    def _loaded(self, needed: int, most: int) -> _Server:
        with self._loading:
            if self._server is not None and self._window >= min(needed, most):
                return self._server
            window = SMALLEST_WINDOW
            while window < min(needed, most):
                window *= 2
            self._server = None  # the old one's memory first
            self._window = min(window, most)
            self._server = _load(self.path, self._window)
            self.loads += 1
            return self._server


def _load(path: Path, window: int) -> _Server:
    _check(path)
    llama = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.n_ctx = window
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH
    # One thread: with two on a busy two-core machine the spin barriers cost most of the speed.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 1
    params.cache_ram_mib = 0  # the default keeps up to 8 GB of earlier prompts
    params.n_ctx_checkpoints = 0
    params.warmup = params.fit_params = params.ui = False
    params.verbosity = -1
    params.api_keys = [secrets.token_urlsafe(32)]
    try:
        with _private_address() as address:
            params.hostnames = [address]
            params.port = 0
            return cast("_Server", llama.Server(params))
    except (RuntimeError, ValueError, OSError) as exc:
        raise UnavailableError(
            f"llama.cpp could not load {path.name} with a window of {window} tokens: "
            "the file is damaged, of a kind it does not know, or memory is short"
        ) from exc


def _check(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as exc:
        raise ModelNotFoundError(f"no model at {path}: set `model_path` to a GGUF file") from exc
    except OSError as exc:
        raise UnavailableError(f"{path} cannot be read: {exc.strerror}") from exc
    if magic != b"GGUF":
        raise ModelNotFoundError(f"{path} is not a GGUF file: set `model_path` to one")


@contextmanager
def _private_address() -> Generator[str]:
    """Where llama.cpp's HTTP side listens, which it always does: a Unix socket in a folder of our own
    that is gone once it is bound, so nobody can connect. Windows gets a loopback port, guarded by the key.
    """
    if os.name == "nt":
        yield "127.0.0.1"
        return
    with tempfile.TemporaryDirectory(prefix="mcp-llm-", ignore_cleanup_errors=True) as folder:
        yield str(Path(folder, "llama.sock"))


def _ask(server: _Server, ask: Ask, stop: threading.Event, on_delta: OnDelta) -> Answer | None:
    if stop.is_set():
        return None
    chunks: list[Chunk] = []
    pieces: list[str] = []

    def take(chunk: Chunk) -> bool:
        if stop.is_set():
            return True
        chunks.append(chunk)
        # Text that is continued begins with the space that parts it from its prompt.
        if piece := _text(chunk).lstrip() if ask.kind == "text" and not pieces else _text(chunk):
            pieces.append(piece)
            on_delta(piece)
        return False

    # Progress events come once a batch while the prompt is read: they are where a long prompt can be stopped.
    body = {**ask.body, "stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
    try:
        if ask.kind == "chat":
            server.handle_chat_completions(body, take)
        else:
            server.handle_completions(body, take)
    except (ValueError, RuntimeError) as exc:
        raise InvalidRequestError(f"llama.cpp refused the request: {_line(str(exc))}") from exc
    return None if stop.is_set() else _read(chunks, "".join(pieces))


def _read(chunks: list[Chunk], text: str) -> Answer:
    for chunk in chunks:
        if error := chunk.get("error"):
            _raise(error)
    usage = next((_usage(chunk["usage"]) for chunk in reversed(chunks) if chunk.get("usage")), None)
    reasons = [choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices", ())]
    reason = next((reason for reason in reversed(reasons) if reason), None)
    if usage is None or reason not in ("stop", "length"):
        raise BrokenAnswerError("the embedded model's answer did not end as an answer ends", usage=usage)
    if not text.strip():
        raise EmptyAnswerError("the embedded model said nothing", usage=usage)
    return Answer(text=text, finish_reason=reason, usage=usage)


def _text(chunk: Chunk) -> str:
    choices = chunk.get("choices")
    if not choices:
        return ""
    return choices[0].get("text") or choices[0].get("delta", {}).get("content") or ""


def _usage(counted: Chunk) -> Usage:
    details: Chunk = counted.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=counted["prompt_tokens"],
        output_tokens=counted["completion_tokens"],
        cache_read_tokens=details.get("cached_tokens", 0),
    )


def _raise(error: Chunk) -> None:
    if error.get("type") == "exceed_context_size_error":
        raise _TooLongError(prompt_tokens=error["n_prompt_tokens"], window=error["n_ctx"])
    message = f"llama.cpp refused the request: {_line(str(error.get('message', '')))}"
    if error.get("code") == 400:  # noqa: PLR2004 - HTTP's number, which llama.cpp uses inside too
        raise InvalidRequestError(message, status=400)
    raise UnavailableError(message, status=error.get("code"))


def _context_length(prompt_tokens: int, window: int) -> ContextLengthError:
    return ContextLengthError(f"the prompt is {prompt_tokens} tokens, the embedded model's window {window}")


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
