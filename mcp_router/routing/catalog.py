"""Which providers and models there are, by name, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Self

from mcp_router.errors import UnknownNameError
from providers import registry
from providers.catalog import Model, Provider

_NEAR = 25
"""How far apart in strength two models of one lineage may be to stand in for each other."""


class Catalog:
    """Every provider and model one may ask."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        """Exactly these providers, in this order."""
        self.providers: Mapping[str, Provider] = {provider.name: provider for provider in providers}
        self._found: dict[str, Model] = {}
        """By what they were asked for with: every plan looks up dozens."""

    @classmethod
    def with_shipped(cls, own: Iterable[Provider] = ()) -> Self:
        """The shipped providers and the user's own; one that has a shipped provider's name replaces it."""
        catalog = cls(())
        catalog.providers = _ShippedAnd({provider.name: provider for provider in own})
        return catalog

    def provider(self, name: str) -> Provider:
        """One provider.

        Raises:
            UnknownNameError: Nobody has this name.
        """
        try:
            return self.providers[name]
        except KeyError:
            hosts = [model.id for model in self.models() if name and name in (model.name, *model.aliases)]
            hint = f"A model is written provider:model, so {' or '.join(hosts)}." if hosts else ""
            raise UnknownNameError("provider", name, self.providers, hint=hint) from None

    def model(self, id: str) -> Model:  # noqa: A002 -- the house's word
        """One model by `provider:name`, or by an alias of its provider's.

        Raises:
            UnknownNameError: The provider or the model is unknown.
        """
        if (found := self._found.get(id)) is None:
            provider = self._provider_of(id)
            found = self._find(provider, id)
            if found is None:
                raise UnknownNameError("model", id, [model.id for model in provider.models])
            self._found[id] = found
        return found

    def model_or_unlisted(self, id: str) -> Model:  # noqa: A002 -- the house's word
        """The same, but a name that its provider may well serve and we do not know is let through:
        its price is unknown unless the provider has one for everything.

        Raises:
            UnknownNameError: The provider is unknown, or no model is named.
        """
        provider = self._provider_of(id)
        return self._find(provider, id) or Model(provider=provider.name, name=id.partition(":")[2])

    def models(self) -> Iterator[Model]:
        """Every model, provider by provider."""
        for provider in self.providers.values():
            yield from provider.models

    def stand_ins(self, model: Model) -> tuple[Model, ...]:
        """What other providers serve in a model's place, best first: its own family (same generation
        first, a steady price before a volatile one, then the cheapest), then its lineage within reach.
        """
        family = [other for other in self._families.get(model.family, ()) if other.provider != model.provider]
        lineage = [
            other
            for other in self._lineages.get(model.lineage, ())
            if other.provider != model.provider
            and other.family != model.family
            and abs(other.strength - model.strength) <= _NEAR
        ]

        def nearest(other: Model) -> tuple[bool, int, bool, bool, Decimal]:
            return (
                other.deprecated,
                abs(other.strength - model.strength),
                other.preview,
                other.volatile_price,
                _list_price(other),
            )

        return (*sorted(family, key=nearest), *sorted(lineage, key=nearest))

    def _provider_of(self, id: str) -> Provider:  # noqa: A002 -- the house's word
        name, colon, model = id.partition(":")
        if not colon or not model:
            raise UnknownNameError(
                "model", id, (), hint=f"A model is written provider:name; providers are {', '.join(self.providers)}."
            )
        return self.provider(name)

    def _find(self, provider: Provider, id: str) -> Model | None:  # noqa: A002 -- the house's word
        name = id.partition(":")[2]
        return next((model for model in provider.models if name == model.name or name in model.aliases), None)

    @cached_property
    def _families(self) -> dict[str, list[Model]]:
        return _grouped((model.family, model) for model in self.models())

    @cached_property
    def _lineages(self) -> dict[str, list[Model]]:
        return _grouped((model.lineage, model) for model in self.models())


class _ShippedAnd(Mapping[str, Provider]):
    """Shipped rows and one's own under one roof; a shipped one is read when it is asked for."""

    def __init__(self, own: Mapping[str, Provider]) -> None:
        self._own = own
        self._names = (*registry.NAMES, *(name for name in own if name not in registry.NAMES))

    def __getitem__(self, name: str) -> Provider:
        if name in self._own:
            return self._own[name]
        if name in self._names:
            return registry.shipped_provider(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _grouped(pairs: Iterable[tuple[str, Model]]) -> dict[str, list[Model]]:
    found: dict[str, list[Model]] = {}
    for key, model in pairs:
        if key:
            found.setdefault(key, []).append(model)
    return found


def _list_price(model: Model) -> Decimal:
    """Input and output together: good enough to sort by; an unknown price comes last."""
    if not model.prices:
        return Decimal("Infinity")
    return model.prices[0].input_mtok + model.prices[0].output_mtok
