"""The catalog of providers and models: shipped rows, the user's rows, and substitutes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Self, cast

from mcp_router.errors import ConfigError, UnknownNameError
from mcp_router.settings import ProviderSettings, Settings
from mcp_router.text import hide_password
from providers import registry
from providers.catalog import Model, Provider
from providers.transport.urls import is_http_url

_MAX_STRENGTH_DISTANCE = 25
"""How far apart in strength two models of one lineage may be to stand in for each other."""


_NAME = re.compile(r"[A-Za-z0-9./_][A-Za-z0-9./\\_:@+~=,()#-]{0,199}")
_NAME_HINT = "A model's name has no spaces and at most 200 letters, digits and ./_:@+~=,()#-"


def is_model_name(name: str) -> bool:
    """Return whether a name can be a model's: no spaces, no control characters, no start of a formula.

    Servers list any names, which reach terminals, tables and agents.
    """
    return _NAME.fullmatch(name) is not None


class Catalog:
    """Every provider and model one may ask."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        """Exactly these providers, in this order."""
        self.providers: Mapping[str, Provider] = {provider.name: provider for provider in providers}
        self._found: dict[str, Model] = {}
        """By what they were asked for with: every plan looks up dozens."""

    @classmethod
    def with_shipped(cls, own: Iterable[Provider] = ()) -> Self:
        """Combine the shipped providers and the user's own; one that has a shipped provider's name replaces it."""
        catalog = cls(())
        catalog.providers = _MergedProviders({provider.name: provider for provider in own})
        return catalog

    def provider(self, name: str) -> Provider:
        """One provider.

        Raises:
            UnknownNameError: No model has this name.
        """
        try:
            return self.providers[name]
        except KeyError:
            hosts = [model.id for model in self.models() if name and name in (model.name, *model.aliases)]
            hint = f"A model is written provider:model, so {' or '.join(hosts)}." if hosts else ""
            raise UnknownNameError("provider", name, self.providers, hint=hint) from None

    def model(self, id: str) -> Model:  # noqa: A002 - a model's id is the field's word
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

    def model_or_unlisted(self, id: str) -> Model:  # noqa: A002 - a model's id is the field's word
        """Return the same, or a model of an unknown price for a name that its provider can well serve.

        Raises:
            UnknownNameError: The provider is unknown, or no model is named.
        """
        provider = self._provider_of(id)
        if (found := self._find(provider, id)) is not None:
            return found
        name = id.partition(":")[2]
        if not is_model_name(name):
            raise UnknownNameError("model", id, [model.id for model in provider.models], hint=_NAME_HINT)
        return Model(provider=provider.name, name=name)

    def models(self) -> Iterator[Model]:
        """Every model, provider by provider."""
        for provider in self.providers.values():
            yield from provider.models

    def stand_ins(self, model: Model) -> tuple[Model, ...]:
        """Return what other providers serve in a model's place, best first: its own family (same generation
        first, a steady price before a volatile one, then the cheapest), then its lineage within reach.
        """
        family = [other for other in self._families.get(model.family, ()) if other.provider != model.provider]
        lineage = [
            other
            for other in self._lineages.get(model.lineage, ())
            if other.provider != model.provider
            and other.family != model.family
            and abs(other.strength - model.strength) <= _MAX_STRENGTH_DISTANCE
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

    def _provider_of(self, id: str) -> Provider:  # noqa: A002 - a model's id is the field's word
        name, colon, model = id.partition(":")
        if not colon or not model:
            raise UnknownNameError(
                "model", id, (), hint=f"A model is written provider:name; providers are {', '.join(self.providers)}."
            )
        return self.provider(name)

    def _find(self, provider: Provider, id: str) -> Model | None:  # noqa: A002 - a model's id is the field's word
        name = id.partition(":")[2]
        return next((model for model in provider.models if name == model.name or name in model.aliases), None)

    @cached_property
    def _families(self) -> dict[str, list[Model]]:
        return _group((model.family, model) for model in self.models())

    @cached_property
    def _lineages(self) -> dict[str, list[Model]]:
        return _group((model.lineage, model) for model in self.models())


class _MergedProviders(Mapping[str, Provider]):
    """Shipped rows and the user's; a shipped row is read when it is first used."""

    def __init__(self, own: Mapping[str, Provider]) -> None:
        self._own = own
        self._names = (*registry.PROVIDER_NAMES, *(name for name in own if name not in registry.PROVIDER_NAMES))

    def __getitem__(self, name: str) -> Provider:
        if name in self._own:
            return self._own[name]
        if name in self._names:
            return registry.load_provider(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _group(pairs: Iterable[tuple[str, Model]]) -> dict[str, list[Model]]:
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


_PRICE_KEYS = frozenset(
    {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "thinking_output_mtok", "steps"}
)


def read_user_providers(settings: Settings) -> Iterator[Provider]:
    """Yield every provider that the configuration adds, or whose row it changes.

    Raises:
        ConfigError: A row is wrong; the text names the file, the key and the values it can have.
    """
    for name, configured in settings.configuration.providers.items():
        try:
            _check_address(name, configured)
            if name in registry.PROVIDER_NAMES:
                if configured.models or configured.features or configured.search_fee_usd is not None:
                    yield _merge_row(registry.load_provider(name), configured)
            else:
                yield _read_new_row(name, configured)
        except (registry.RowError, UnknownNameError) as exc:
            raise ConfigError(f"{settings.locate('providers', name)}: {exc}") from exc


def _check_address(name: str, configured: ProviderSettings) -> None:
    # A local server can be named by host and port alone.
    if configured.base_url is None:
        return
    url = configured.base_url.strip()
    if name == "local" and "://" not in url:
        url = f"http://{url}"
    if not is_http_url(url):
        raise registry.RowError(
            f"providers.{name}.base_url = {hide_password(configured.base_url)!r}: must be a URL such as http://host:port/path."
        )


def _merge_row(provider: Provider, configured: ProviderSettings) -> Provider:
    """Return the shipped row with the user's models: new ones first, changed ones with what they do not change."""
    shipped = {str(table["name"]): table for table in registry.load_model_tables(provider.name)}
    changes = [_merge_model(shipped.get(str(table.get("name")), {}), table) for table in configured.models]
    table = {
        "wire": provider.wire,
        "base_url": provider.base_url or "-",
        "models": changes,
        "features": list(configured.features),
    }
    row = registry.provider_from_table(provider.name, table)
    changed = {model.name: model for model in row.models}
    added = tuple(model for name, model in changed.items() if name not in shipped)
    kept = provider.models
    search = provider.search
    if search is not None and configured.search_fee_usd is not None:
        search = replace(search, fee_usd=configured.search_fee_usd)
        kept = tuple(replace(model, search_fee_usd=None) for model in kept)
    merged = tuple(changed.get(model.name, model) for model in kept)
    return replace(provider, models=(*added, *merged), features=row.features, search=search)


def _merge_model(shipped: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return a shipped model's table with changes; a price changes in all its dated prices."""
    if "prices" in changes:
        return {**{key: value for key, value in shipped.items() if key not in _PRICE_KEYS}, **changes}
    prices = {key: value for key, value in changes.items() if key in _PRICE_KEYS}
    if "prices" not in shipped or not prices:
        return {**shipped, **changes}
    dated = [{**price, **prices} for price in cast("list[dict[str, object]]", shipped["prices"])]
    others = {key: value for key, value in changes.items() if key not in _PRICE_KEYS}
    return {**shipped, "prices": dated, **others}


def _read_new_row(name: str, configured: ProviderSettings) -> Provider:
    if ":" in name or not name:
        raise registry.RowError(f"providers.{name!r}: a provider's name has no colon.")
    if configured.wire is None:
        raise UnknownNameError(
            "provider",
            name,
            registry.PROVIDER_NAMES,
            hint=f"To add {name}, set wire and base_url in [providers.{name}].",
        )
    table: dict[str, object] = {
        "wire": configured.wire,
        "models": list(configured.models),
        "features": list(configured.features),
    }
    if configured.base_url is not None:
        table["base_url"] = configured.base_url
    if configured.api_key_env is not None:
        table["key_env"] = [configured.api_key_env]
    return registry.provider_from_table(name, table)
