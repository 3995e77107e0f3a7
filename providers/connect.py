"""Connections to providers: one adapter per wire, each loading its SDK at first use."""

from __future__ import annotations

import gc
import re
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from threading import Lock, Thread
from typing import Protocol, cast

from providers.answer_text import TextRelay, finish_completion
from providers.catalog import Model, Provider, Wire
from providers.completion import Completion, OnText, Prompt
from providers.errors import AuthenticationError, InvalidRequestError, ProviderError, UnavailableError
from providers.transport.urls import is_http_url, resolve_base_url
from providers.wires.request_options import SchemaMode, choose_schema_mode
from providers.wires.schema_wrapper import has_root_reference, is_object_schema, wrap_schema
from providers.wires.tool_calls import to_anthropic_id

_MAX_THINKING_RECORDS = 500
"""A record takes about 10 KB."""
_REFUSAL_STATUSES = {400, 404, 415, 422, 501}
_SCHEMA_WORDS = re.compile(
    r"response_?format|json[_ -]?(schema|object|mode)|schema|structured[_ -]?output|output_config|output_format"
    r"|response_?mime_?type|text\.format|guided|grammar",
    re.IGNORECASE,
)
"""A vendor's words for the field that carries a schema."""


class Adapter(Protocol):
    """Speaks one wire to one provider. It never retries, never sleeps and has no timeout of its own."""

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Send one request and return the whole answer; with `on_text`, stream its text as well.

        Cancelling closes the connection.

        Raises:
            ProviderError: The request failed; adapters raise nothing else.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class _WireModule(Protocol):
    def create_adapter(self, provider: Provider, *, key: str | None, base_url: str) -> Adapter: ...


def connect(
    provider: Provider, *, key: str | None, base_url: str | None = None, model_path: str | None = None
) -> Connection:
    """Return a connection to a provider; `base_url` replaces the provider's own, `model_path` the embedded model."""
    return Connection(provider, key=key, base_url=resolve_base_url(provider, base_url), model_path=model_path)


def choose_wire(provider: Provider, model: Model, prompt: Prompt) -> Wire:
    """Return the wire for this prompt.

    Raises:
        InvalidRequestError: The prompt wants a search and the provider offers none.
    """
    if prompt.max_searches < 1:
        return model.wire or provider.wire
    if provider.search is None:
        raise InvalidRequestError(f"{provider.name} cannot search the web")
    return provider.search.wire


class Connection:
    """A provider's adapters, created once per wire and URL."""

    def __init__(self, provider: Provider, *, key: str | None, base_url: str, model_path: str | None) -> None:
        self._provider = provider
        self._key = key.strip() if key else None
        self._base_url = base_url
        self._model_path = model_path
        self._adapters: dict[tuple[Wire, str], Adapter] = {}
        self._refused_schemas: set[tuple[Wire, str]] = set()
        """The wires and models whose vendor refused a schema in a request field."""
        self._thinking: OrderedDict[str, object] = OrderedDict()
        """Vendors' records of the thinking before tool calls, by the id of the first call, the oldest first."""
        self._lock = Lock()

    async def open(self, model: Model) -> None:
        """Create a model's adapter before its first request, as loading an SDK takes up to a second.

        The embedded model is not loaded.
        """
        if (unopened := self._find_unopened(model)) is not None:
            await self._get_adapter(*unopened)

    def open_in_background(self, model: Model) -> None:
        """Create a model's adapter in a thread, without waiting for it."""
        if (unopened := self._find_unopened(model)) is not None:
            Thread(target=self._open_once, args=unopened, daemon=True, name=f"opening {unopened[0]}").start()

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Send one request over the wire that this model and prompt need.

        Raises:
            ProviderError: The request failed.
        """
        if not self._is_key_sendable():
            raise AuthenticationError(f"the key for {self._provider.name} contains characters that no key has")
        wire, url = choose_wire(self._provider, model, prompt), self._choose_url(model)
        if wire != "embedded" and not is_http_url(url):
            raise UnavailableError(f"base_url of {self._provider.name} is not a URL: write http://host:port/path")
        adapter = await self._get_adapter(wire, url)
        completion = await self._ask(adapter, wire, model, self._adapt_prompt(prompt, model, wire), on_text)
        if completion.thinking is not None and completion.tool_calls:
            self._remember_thinking(completion, model)
        return completion

    async def _ask(
        self, adapter: Adapter, wire: Wire, model: Model, prompt: Prompt, on_text: OnText | None
    ) -> Completion:
        if prompt.response_schema is None or wire == "embedded":
            return await _complete(adapter, model, prompt, on_text)
        if (wire, model.name) in self._refused_schemas:
            return await _complete(adapter, model, replace(prompt, schema_in_words=True), on_text)
        mode = choose_schema_mode(self._provider, model, prompt)
        try:
            return await _complete(adapter, model, _adapt_schema(prompt, mode, wire), on_text)
        except ProviderError as error:
            if mode == "words" or not _is_schema_refusal(error):
                raise
            # A refused request is not billed, so the same attempt asks in words; later calls do so at once.
            self._refused_schemas.add((wire, model.name))
            return await _complete(adapter, model, replace(prompt, schema_in_words=True), on_text)

    def _adapt_prompt(self, prompt: Prompt, model: Model, wire: Wire) -> Prompt:
        """Return the prompt without what only Anthropic takes, and with the thinking that its vendor wants back, which
        clients do not keep.
        """
        if prompt.native is not None and (wire, self._provider.name) != ("anthropic_messages", "claude"):
            prompt = replace(prompt, native=None)
        if prompt.offer is None or not self._thinking:
            return prompt
        messages = tuple(
            replace(message, thinking=self._thinking.get(_thinking_key(model, message.tool_calls[0].id)))
            if message.tool_calls
            else message
            for message in prompt.messages
        )
        return replace(prompt, messages=messages)

    def _remember_thinking(self, completion: Completion, model: Model) -> None:
        self._thinking[_thinking_key(model, completion.tool_calls[0].id)] = completion.thinking
        while len(self._thinking) > _MAX_THINKING_RECORDS:
            self._thinking.popitem(last=False)

    async def aclose(self) -> None:
        """Close every adapter."""
        while self._adapters:
            _, adapter = self._adapters.popitem()
            await adapter.aclose()

    def _find_unopened(self, model: Model) -> tuple[Wire, str] | None:
        wire, url = model.wire or self._provider.wire, self._choose_url(model)
        if (wire, url) in self._adapters or wire == "embedded":
            return None
        return (wire, url) if is_http_url(url) and self._is_key_sendable() else None

    def _is_key_sendable(self) -> bool:
        """Return whether an HTTP header can carry the key."""
        return not self._key or (self._key.isascii() and self._key.isprintable())

    def _choose_url(self, model: Model) -> str:
        return model.base_url or self._base_url

    async def _get_adapter(self, wire: Wire, url: str) -> Adapter:
        if (adapter := self._adapters.get((wire, url))) is not None:
            return adapter
        import anyio.to_thread  # noqa: PLC0415 - `import providers` loads no event loop

        # In a thread: importing an SDK takes up to a second and must not block the event loop.
        return await anyio.to_thread.run_sync(self._open_once, wire, url, abandon_on_cancel=True)

    def _open_once(self, wire: Wire, url: str) -> Adapter:
        with self._lock:
            if (wire, url) not in self._adapters:
                with _pause_garbage_collection():
                    self._adapters[wire, url] = self._create_adapter(wire, url)
            return self._adapters[wire, url]

    def _create_adapter(self, wire: Wire, url: str) -> Adapter:
        if wire == "embedded":
            from providers.embedded.adapter import EmbeddedAdapter  # noqa: PLC0415 - loaded at first use

            return EmbeddedAdapter(self._model_path)
        module = cast("_WireModule", import_module(f"providers.wires.{wire}"))
        return module.create_adapter(self._provider, key=self._key, base_url=url)


def _thinking_key(model: Model, call_id: str) -> str:
    return f"{model.name}\n{to_anthropic_id(call_id)}"


async def _complete(adapter: Adapter, model: Model, prompt: Prompt, on_text: OnText | None) -> Completion:
    if on_text is None:
        return finish_completion(await adapter.complete(model, prompt), prompt)
    relay = TextRelay(prompt, on_text)
    completion = finish_completion(await adapter.complete(model, prompt, on_text=relay.push), prompt)
    await relay.finish(completion.text)
    return completion


def _adapt_schema(prompt: Prompt, mode: SchemaMode, wire: Wire) -> Prompt:
    """Return the prompt with a schema that the vendor's field accepts."""
    schema = prompt.response_schema
    if schema is None or is_object_schema(schema) or wire == "gemini_generate":
        return prompt
    # JSON mode accepts only objects, and a wrapper would break references to the root.
    if mode != "json_schema" or has_root_reference(schema):
        return replace(prompt, schema_in_words=True)
    return replace(prompt, response_schema=wrap_schema(schema), is_schema_wrapped=True)


def _is_schema_refusal(error: ProviderError) -> bool:
    return error.status in _REFUSAL_STATUSES and _SCHEMA_WORDS.search(str(error)) is not None


@contextmanager
def _pause_garbage_collection() -> Generator[None]:
    """Import an SDK's ten thousand classes without collections, which take a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
