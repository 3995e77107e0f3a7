"""Keeps one adapter a provider, opened at first use, for as long as the server runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from providers.catalog import Model, Provider
from providers.connect import Connection, connect


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderConnection:
    """What it takes to reach a provider."""

    provider: Provider
    key: str | None
    base_url: str | None
    model_path: str | None
    timeout_seconds: float


class AdapterPool:
    """Adapters by provider."""

    def __init__(self, door: Callable[[str], ProviderConnection]) -> None:
        self._door = door
        self._adapters: dict[str, Connection] = {}
        self._timeouts: dict[str, float] = {}
        self.loads_fallback = True
        """Whether a call waits until whom it would ask second can be asked too, so that falling back waits for nobody's
        SDK. It pays where more calls follow.
        """

    def timeout_seconds(self, provider: str) -> float:
        """How long one attempt may take there."""
        if provider not in self._timeouts:
            self._timeouts[provider] = self._door(provider).timeout_seconds
        return self._timeouts[provider]

    def adapter(self, provider: str) -> Connection:
        """Return a provider's adapter. Its SDK is imported when it is first asked."""
        if provider not in self._adapters:
            door = self._door(provider)
            self._adapters[provider] = connect(
                door.provider, key=door.key, base_url=door.base_url, model_path=door.model_path
            )
        return self._adapters[provider]

    async def load(self, models: Sequence[Model]) -> None:
        """Load what it takes to ask the first of these models, and the second."""
        for model in models[: 2 if self.loads_fallback else 1]:
            await self.adapter(model.provider).open(model)

    def preload(self, models: Sequence[Model]) -> None:
        """Load what it takes to ask these models, without waiting for it."""
        for model in models:
            self.adapter(model.provider).open_in_background(model)

    async def aclose(self) -> None:
        """Close what was opened."""
        for adapter in self._adapters.values():
            await adapter.aclose()
        self._adapters.clear()
