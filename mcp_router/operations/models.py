"""Models with their prices, windows and features, filtered and sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mcp_router.app import App
from mcp_router.operations.model_aliases import canonical_provider
from mcp_router.operations.providers import ModelView, describe_model

SortKey = Literal["name", "price", "window", "strength"]


class ListedModel(ModelView):
    """A model in the list, with its rank and whether it can be asked now."""

    strength: int
    available: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFilter:
    """What a listed model must have; None is no condition."""

    provider: str | None = None
    max_price: float | None = None
    """The most that a million output tokens cost, in USD. A model of unknown price does not pass."""
    min_window: int | None = None
    """Tokens. A model of unknown window does not pass."""
    features: frozenset[str] = frozenset()
    available: bool = False

    def matches(self, model: ListedModel) -> bool:
        """Return whether a model passes."""
        price, window = model["output_mtok"], model["context_window"]
        return (
            (self.max_price is None or (price is not None and price <= self.max_price))
            and (self.min_window is None or (window is not None and window >= self.min_window))
            and self.features <= set(model["features"])
            and (model["available"] or not self.available)
        )


_ORDERS: dict[SortKey, Callable[[ListedModel], tuple[float, str]]] = {
    "name": lambda model: (0.0, model["model"]),
    "price": lambda model: (_or_infinity(model["output_mtok"]), model["model"]),
    "window": lambda model: (-(model["context_window"] or 0), model["model"]),
    "strength": lambda model: (-model["strength"], model["model"]),
}


async def select_models(app: App, wanted: ModelFilter, sort: SortKey) -> list[ListedModel]:
    """Return the models that pass, sorted; those of unknown price or window come last.

    Raises:
        UnknownNameError: There is no such provider.
    """
    catalog, access, now = await app.current_catalog(), app.access(), datetime.now(UTC)
    only = (
        None
        if wanted.provider is None
        else catalog.provider(canonical_provider(wanted.provider, catalog.providers)).name
    )
    listed: list[ListedModel] = [
        {
            **describe_model(catalog.provider(model.provider), model, now),
            "strength": model.strength,
            "available": access[model.provider].available and not model.only_by_name,
        }
        for model in catalog.models()
        if only is None or model.provider == only
    ]
    return sorted((model for model in listed if wanted.matches(model)), key=_ORDERS[sort])


def _or_infinity(price: float | None) -> float:
    return float("inf") if price is None else price
