"""Pool of one adapter per provider, opened at first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from providers.catalog import Model, Provider
from providers.connect import Connection, connect


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderConnection:
    """What is needed to reach a provider."""

    provider: Provider
    key: str | None
    base_url: str | None
    model_path: str | None
    timeout_seconds: float


class AdapterPool:
    """Adapters by provider."""

    def __init__(self, connection: Callable[[str], ProviderConnection]) -> None:
        self._find_connection = connection
        self._adapters: dict[str, Connection] = {}
        self._timeouts: dict[str, float] = {}
        self.loads_fallback = True
        """Whether a call also loads the SDK of its second candidate first, so that a fallback does not wait for it.

        It pays if more calls follow.
        """

    def timeout_seconds(self, provider: str) -> float:
        """Return the longest duration of one attempt, in seconds."""
        if provider not in self._timeouts:
            self._timeouts[provider] = self._find_connection(provider).timeout_seconds
        return self._timeouts[provider]

    def adapter(self, provider: str) -> Connection:
        """Return a provider's adapter. Its SDK is imported when it is first asked."""
        if provider not in self._adapters:
            connection = self._find_connection(provider)
            self._adapters[provider] = connect(
                connection.provider, key=connection.key, base_url=connection.base_url, model_path=connection.model_path
            )
        return self._adapters[provider]

    async def load(self, models: Sequence[Model]) -> None:
        """Load the SDKs of the first two models."""
        for model in models[: 2 if self.loads_fallback else 1]:
            await self.adapter(model.provider).open(model)

    def preload(self, models: Sequence[Model]) -> None:
        """Load the SDKs of these models without waiting."""
        for model in models:
            self.adapter(model.provider).open_in_background(model)

    async def aclose(self) -> None:
        """Close every adapter that was opened."""
        for adapter in self._adapters.values():
            await adapter.aclose()
        self._adapters.clear()
