"""The user's own providers and models: `[providers.NAME]` of the configuration as rows like the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mcp_router.errors import ConfigError, UnknownNameError
from mcp_router.settings import ProviderSettings, Settings
from providers import registry
from providers.catalog import Provider
from providers.transport.urls import well_formed


def own_providers(settings: Settings) -> Iterator[Provider]:
    """Give every provider that the configuration adds, or whose row it changes.

    Raises:
        ConfigError: A row cannot be; the text names the file, the key and what it may be.
    """
    for name, said in settings.configuration.providers.items():
        try:
            _check_address(name, said)
            if name in registry.NAMES:
                if said.models or said.search_fee_usd is not None:
                    yield _changed(registry.shipped_provider(name), said)
            else:
                yield _new(name, said)
        except (registry.RowError, UnknownNameError) as exc:
            raise ConfigError(f"{settings.path}: {exc}") from exc


def _check_address(name: str, said: ProviderSettings) -> None:
    # A server of one's own may be named by host and port alone.
    if said.base_url is not None and name != "local" and not well_formed(said.base_url.strip()):
        raise registry.RowError(
            f"providers.{name}.base_url: {said.base_url!r} is no address: write http://host:port/path."
        )


def _changed(provider: Provider, said: ProviderSettings) -> Provider:
    """Put the user's models before the shipped ones of the same name."""
    table = {"wire": provider.wire, "base_url": provider.base_url or "-", "models": list(said.models)}
    models = registry.provider_from_table(provider.name, table).models
    names = {model.name for model in models}
    kept = tuple(model for model in provider.models if model.name not in names)
    search = provider.search
    if search is not None and said.search_fee_usd is not None:
        search = replace(search, fee_usd=said.search_fee_usd)
        kept = tuple(replace(model, search_fee_usd=None) for model in kept)
    return replace(provider, models=(*models, *kept), search=search)


def _new(name: str, said: ProviderSettings) -> Provider:
    if ":" in name or not name:
        raise registry.RowError(f"providers.{name!r}: a provider's name has no colon.")
    if said.wire is None:
        raise UnknownNameError(
            "provider", name, registry.NAMES, hint=f"To add {name}, say [providers.{name}] wire = and base_url = ."
        )
    table: dict[str, object] = {"wire": said.wire, "models": list(said.models)}
    if said.base_url is not None:
        table["base_url"] = said.base_url
    if said.api_key_env is not None:
        table["key_env"] = [said.api_key_env]
    return registry.provider_from_table(name, table)
