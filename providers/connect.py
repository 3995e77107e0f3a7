"""Opens the wires of a provider, each with its SDK only when it is first used."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock, Thread
from typing import assert_never

import anyio.to_thread

from providers.catalog import Model, Provider, Wire
from providers.completion import Adapter, Completion, OnText, Prompt
from providers.errors import AuthenticationError, InvalidRequestError, UnavailableError
from providers.transport.urls import is_http_url, resolve_base_url


def connect(
    provider: Provider, *, key: str | None, base_url: str | None = None, model_path: str | None = None
) -> Connection:
    """An adapter for every wire of a provider; `base_url` stands in for the provider's own."""
    return Connection(provider, key=key, base_url=resolve_base_url(provider, base_url), model_path=model_path)


def wire_of(provider: Provider, model: Model, prompt: Prompt) -> Wire:
    """The wire this prompt goes over.

    Raises:
        InvalidRequestError: It wants a search and the provider has none.
    """
    if prompt.max_searches < 1:
        return model.wire or provider.wire
    if provider.search is None:
        raise InvalidRequestError(f"{provider.name} cannot search the web")
    return provider.search.wire


class Connection:
    """A provider's wires; it remembers those that were opened."""

    def __init__(self, provider: Provider, *, key: str | None, base_url: str, model_path: str | None) -> None:
        self._provider = provider
        self._key = key.strip() if key else None
        self._base_url = base_url
        self._model_path = model_path
        self._wires: dict[tuple[Wire, str], Adapter] = {}
        self._opening = Lock()

    async def ready(self, model: Model) -> None:
        """Open a model's wire: it may be asked soon, and its SDK takes a while. The embedded model is not loaded on
        suspicion.
        """
        if (unopened := self._unopened(model)) is not None:
            await self._opened(*unopened)

    def prepare(self, model: Model) -> None:
        """The same, in a thread that nobody waits for."""
        if (unopened := self._unopened(model)) is not None:
            Thread(target=self._open_once, args=unopened, daemon=True, name=f"opening {unopened[0]}").start()

    async def complete(self, model: Model, prompt: Prompt, *, on_text: OnText | None = None) -> Completion:
        """Ask once, over the wire that this model and prompt need.

        Raises:
            ProviderError: Whatever went wrong.
        """
        if not self._is_sendable():
            raise AuthenticationError(f"the key for {self._provider.name} holds characters that no key has")
        wire, url = wire_of(self._provider, model, prompt), self._url(model)
        if wire != "embedded" and not is_http_url(url):
            raise UnavailableError(f"base_url of {self._provider.name} is no address: write http://host:port/path")
        adapter = await self._opened(wire, url)
        return await adapter.complete(model, prompt, on_text=on_text)

    async def aclose(self) -> None:
        """Close every wire that was opened."""
        while self._wires:
            _, adapter = self._wires.popitem()
            await adapter.aclose()

    def _unopened(self, model: Model) -> tuple[Wire, str] | None:
        wire, url = model.wire or self._provider.wire, self._url(model)
        if (wire, url) in self._wires or wire == "embedded":
            return None
        return (wire, url) if is_http_url(url) and self._is_sendable() else None

    def _is_sendable(self) -> bool:
        """Whether a header can carry the key."""
        return not self._key or (self._key.isascii() and self._key.isprintable())

    def _url(self, model: Model) -> str:
        return model.base_url or self._base_url

    async def _opened(self, wire: Wire, url: str) -> Adapter:
        if (adapter := self._wires.get((wire, url))) is not None:
            return adapter
        # In a thread: importing an SDK takes up to a second, and others are being served.
        return await anyio.to_thread.run_sync(self._open_once, wire, url, abandon_on_cancel=True)

    def _open_once(self, wire: Wire, url: str) -> Adapter:
        with self._opening:
            if (wire, url) not in self._wires:
                with _uncollected():
                    self._wires[wire, url] = self._open(wire, url)
            return self._wires[wire, url]

    def _open(self, wire: Wire, url: str) -> Adapter:  # noqa: PLR0911 - one line a wire
        provider, key = self._provider, self._key
        match wire:
            case "openai_chat":
                from providers.wires.openai_chat import create_adapter  # noqa: PLC0415

                return create_adapter(provider, key=key, base_url=url)
            case "openai_responses":
                from providers.wires.openai_responses import create_adapter  # noqa: PLC0415

                return create_adapter(provider, key=key, base_url=url)
            case "groq_chat":
                from providers.wires.groq_chat import create_adapter  # noqa: PLC0415

                return create_adapter(provider, key=key, base_url=url)
            case "mistral_chat":
                from providers.wires.mistral_chat import create_adapter  # noqa: PLC0415

                return create_adapter(provider, key=key, base_url=url)
            case "anthropic_messages":
                from providers.wires.anthropic_messages import create_adapter  # noqa: PLC0415

                return create_adapter(provider, key=key, base_url=url)
            case "gemini_generate":
                from providers.wires.gemini_generate import create_adapter  # noqa: PLC0415

                return create_adapter(provider, key=key, base_url=url)
            case "embedded":
                from providers.embedded.adapter import EmbeddedAdapter  # noqa: PLC0415

                return EmbeddedAdapter(self._model_path)
            case _:
                assert_never(wire)


@contextmanager
def _uncollected() -> Generator[None]:
    """Let an SDK's ten thousand classes be made without looking for garbage among them: a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
