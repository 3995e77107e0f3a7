"""A llama.cpp model loaded into this process; its methods run in a worker thread.

The runtime is https://github.com/xorbitsai/xllamacpp: llama.cpp's server, called without HTTP.
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

MIN_WINDOW_TOKENS = 2048
"""The first window: about 200 MB with the shipped weights; 8,192 tokens take 340 MB."""
BATCH_TOKENS = 64
"""Tokens of a prompt between two checks of the stop flag: about 0.3 s on one busy core."""

Chunk = Mapping[str, Any]
"""An event of llama.cpp's stream, as JSON."""
OnDelta = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationRequest:
    """A request for llama.cpp."""

    kind: Literal["chat", "text"]
    """`chat` applies the model's chat template; `text` is continued as is."""
    body: Mapping[str, object]
    estimated_input_tokens: int
    """A high estimate from the text's length; llama.cpp has the exact count."""
    reserved_output_tokens: int
    """The tokens of the window reserved for the answer, if the model's window is large enough."""
    classification: Classification | None = None
    """Set if the answer is one of the labels that the prompt or its schema names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedText:
    """The model's answer."""

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
    """A loaded model with a window that grows when a prompt needs it.

    Reloading takes 0.2 s, and most prompts never need the memory of a long one. The binding holds the
    interpreter's lock while it loads and frees, and releases it while it generates.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loading = threading.Lock()
        self._server: _Server | None = None
        self._window = 0
        self.loads = 0
        """How often the weights were loaded."""

    def generate(
        self, request: GenerationRequest, *, max_window: int, stop: threading.Event, on_delta: OnDelta
    ) -> GeneratedText | None:
        """Load the model if needed and generate; pass every piece to `on_delta`; return None after `stop`.

        Raises:
            ProviderError: The model cannot be loaded, the prompt is too long or the answer unusable.
        """
        # If the estimate exceeds the window, any window suffices to count the prompt.
        fits = request.estimated_input_tokens < max_window
        needed = request.estimated_input_tokens + request.reserved_output_tokens if fits else 0
        try:
            return _generate(self._load_window(needed, max_window), request, stop, on_delta)
        except _TooLongError as refused:
            if refused.prompt_tokens >= max_window:
                raise _create_context_error(refused.prompt_tokens, max_window) from None
            needed = refused.prompt_tokens + request.reserved_output_tokens
        try:
            return _generate(self._load_window(needed, max_window), request, stop, on_delta)
        except _TooLongError as refused:
            raise _create_context_error(refused.prompt_tokens, refused.window) from None

    def close(self) -> None:
        """Free the memory after the request in flight has ended."""
        with self._loading:
            self._server = None
            self._window = 0

    def _load_window(self, needed: int, most: int) -> _Server:
        with self._loading:
            if self._server is not None and self._window >= min(needed, most):
                return self._server
            window = MIN_WINDOW_TOKENS
            while window < min(needed, most):
                window *= 2
            self._server = None  # free the old window first
            self._window = min(window, most)
            self._server = _load(self.path, self._window)
            self.loads += 1
            return self._server


def _load(path: Path, window: int) -> _Server:
    _check_file(path)
    llama = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.n_ctx = window
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    # One thread: with two on a busy two-core machine the spin barriers cost most of the speed.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 1
    params.cache_ram_mib = 0  # the default keeps up to 8 GB of earlier prompts
    params.n_ctx_checkpoints = 0
    params.warmup = params.fit_params = params.ui = False
    params.verbosity = -1
    params.api_keys = [secrets.token_urlsafe(32)]
    try:
        with _create_private_address() as address:
            params.hostnames = [address]
            params.port = 0
            return cast("_Server", llama.Server(params))
    except (RuntimeError, ValueError, OSError) as exc:
        raise UnavailableError(
            f"llama.cpp could not load {path.name} with a window of {window} tokens: "
            "the file is damaged, of an unknown format, or memory is short"
        ) from exc


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as exc:
        raise ModelNotFoundError(f"no model at {path}: set `model_path` to a GGUF file") from exc
    except OSError as exc:
        raise UnavailableError(f"cannot read {path}: {exc.strerror}") from exc
    if magic != b"GGUF":
        raise ModelNotFoundError(f"{path} is not a GGUF file: set `model_path` to one")


@contextmanager
def _create_private_address() -> Generator[str]:
    """Yield an address for llama.cpp's HTTP server, which cannot be switched off.

    It is a Unix socket in a private folder that is deleted after binding, so no process can connect. On Windows it
    is a loopback port protected by the key.
    """
    if os.name == "nt":
        yield "127.0.0.1"
        return
    with tempfile.TemporaryDirectory(prefix="mcp-llm-", ignore_cleanup_errors=True) as folder:
        yield str(Path(folder, "llama.sock"))


def _generate(
    server: _Server, request: GenerationRequest, stop: threading.Event, on_delta: OnDelta
) -> GeneratedText | None:
    if stop.is_set():
        return None
    chunks: list[Chunk] = []
    pieces: list[str] = []

    def receive(chunk: Chunk) -> bool:
        if stop.is_set():
            return True
        chunks.append(chunk)
        # Continued text begins with the space after its prompt.
        if piece := _extract_text(chunk).lstrip() if request.kind == "text" and not pieces else _extract_text(chunk):
            pieces.append(piece)
            on_delta(piece)
        return False

    # A long prompt can be stopped at its progress events, one per batch.
    body = {**request.body, "stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
    try:
        if request.kind == "chat":
            server.handle_chat_completions(body, receive)
        else:
            server.handle_completions(body, receive)
    except (ValueError, RuntimeError) as exc:
        raise InvalidRequestError(f"llama.cpp refused the request: {_to_line(str(exc))}") from exc
    return None if stop.is_set() else _parse_chunks(chunks, "".join(pieces))


def _parse_chunks(chunks: list[Chunk], text: str) -> GeneratedText:
    for chunk in chunks:
        if error := chunk.get("error"):
            _raise_error(error)
    usage = next((_parse_usage(chunk["usage"]) for chunk in reversed(chunks) if chunk.get("usage")), None)
    reasons = [choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices", ())]
    reason = next((reason for reason in reversed(reasons) if reason), None)
    if usage is None or reason not in ("stop", "length"):
        raise BrokenAnswerError("the embedded model's answer ended without a finish reason", usage=usage)
    if not text.strip():
        raise EmptyAnswerError("the embedded model's answer is empty", usage=usage)
    return GeneratedText(text=text, finish_reason=reason, usage=usage)


def _extract_text(chunk: Chunk) -> str:
    choices = chunk.get("choices")
    if not choices:
        return ""
    return choices[0].get("text") or choices[0].get("delta", {}).get("content") or ""


def _parse_usage(counted: Chunk) -> Usage:
    details: Chunk = counted.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=counted["prompt_tokens"],
        output_tokens=counted["completion_tokens"],
        cache_read_tokens=details.get("cached_tokens", 0),
    )


def _raise_error(error: Chunk) -> None:
    if error.get("type") == "exceed_context_size_error":
        raise _TooLongError(prompt_tokens=error["n_prompt_tokens"], window=error["n_ctx"])
    message = f"llama.cpp refused the request: {_to_line(str(error.get('message', '')))}"
    if error.get("code") == 400:  # noqa: PLR2004 - llama.cpp uses HTTP's status codes
        raise InvalidRequestError(message, status=400)
    raise UnavailableError(message, status=error.get("code"))


def _create_context_error(prompt_tokens: int, window: int) -> ContextLengthError:
    return ContextLengthError(f"the prompt has {prompt_tokens} tokens, the embedded model's window {window}")


def _to_line(text: str) -> str:
    return " ".join(text.split())[:200]
