"""Access to providers: where each is reached, with which key, and why one is unavailable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import SplitResult, urlsplit

from mcp_router.routing.catalog import Catalog
from mcp_router.settings import Settings
from mcp_router.text import hide_password
from providers.catalog import DataFacts, Provider
from providers.transport.urls import is_http_url


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Whether a provider is available, and if not, why."""

    reason: str | None = None
    """What to do to make it available; None if it is."""
    key_scope: str = ""
    """Scope of the key's breaker; identifies the key without revealing it."""
    retired: bool = False
    configured: bool = False
    """Whether the user set the provider up; it stays true while a local server is down."""

    @property
    def available(self) -> bool:
        """Whether the provider can be used."""
        return self.reason is None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessRules:
    """The rules that settings and catalog set for access to providers."""

    settings: Settings
    catalog: Catalog

    def base_url(self, provider: Provider) -> str | None:
        """Return the address the user set for a provider, or None."""
        configured = self.settings.base_url(provider.name, provider.base_url_env)
        return normalize_local_url(configured, provider) if configured and provider.servers else configured

    def key(self, provider: Provider) -> str | None:
        """Return a provider's key, or None. An optional key goes only to an address that the user set."""
        sent = not provider.key_optional or self.base_url(provider) is not None
        return self.settings.key(provider.name, provider.key_env if sent else ())

    def key_scope(self, name: str) -> str:
        """Return the scope of a provider's key, which does not reveal the key."""
        key = self.key(self.catalog.provider(name))
        digest = hashlib.sha256(key.encode()).hexdigest()[:8] if key else "none"
        return f"key:{name}:{digest}"

    def list_unpriced(self) -> frozenset[str]:
        """Return the providers whose unknown models can run at an unknown price.

        These are the providers that the user allowed, and if there is no budget, those whose models are unknowable.
        """
        budgeted = bool(self.settings.limits())
        return frozenset(
            name
            for name, provider in self.catalog.providers.items()
            if self.settings.provider(name).allow_unlisted or (not provider.models and not budgeted)
        )

    def find_facts(self, provider: Provider) -> DataFacts:
        """Return the user's facts about a provider, else the shipped ones, which hold for the vendor's own address."""
        said = self.settings.provider(provider.name).data
        if said is not None:
            return DataFacts(**said.model_dump())
        return provider.data if self.base_url(provider) is None else DataFacts()

    def find_access(self, today: date) -> Mapping[str, Access]:
        """Return the access to every provider on a day (UTC), by name."""
        found: dict[str, Access] = {}
        for name, provider in self.catalog.providers.items():
            moved = self.settings.base_url(name, provider.base_url_env) is not None
            retired = provider.retired is not None and provider.retired <= today and not moved
            reason = self._find_reason(provider, retired=retired, moved=moved)
            scope = self.key_scope(name)
            found[name] = Access(reason=reason, key_scope=scope, retired=retired, configured=reason is None)
        return found

    def _find_reason(self, provider: Provider, *, retired: bool, moved: bool) -> str | None:
        configured = self.settings.provider(provider.name)
        if configured.enabled is False:
            return f"switched off: set [providers.{provider.name}] enabled = true"
        if retired:
            return f"retired on {provider.retired}: {provider.successor}"
        if provider.wire == "embedded":
            from providers.embedded import adapter  # noqa: PLC0415 -- as late as any wire

            return adapter.explain_unavailable(configured.model_path)
        return self._find_address_problem(provider, moved=moved) or self._find_key_problem(provider)

    def _find_address_problem(self, provider: Provider, *, moved: bool) -> str | None:
        if provider.name == "local" and not moved and not self.settings.provider(provider.name).enabled:
            return "set [providers.local] enabled = true, or OLLAMA_BASE_URL"
        address = self.settings.base_url(provider.name, provider.base_url_env) or ""
        if hide_password(address) == address:
            url = self.base_url(provider)
            if url is None or is_http_url(url.strip()):
                return None
            return f"its address {url!r} is not a URL: write http://host:port/path"
        return (
            f"base_url {hide_password(address)} has a user name and password, which are not sent: take them out, and "
            f"set [providers.{provider.name}] api_key_env to a variable with the server's token"
        )

    def _find_key_problem(self, provider: Provider) -> str | None:
        if provider.key_env and not provider.key_optional and self.key(provider) is None:
            problem = self.settings.find_key_problem(provider.name, provider.key_env)
            variable = self.settings.provider(provider.name).api_key_env or provider.key_env[0]
            return f"set {variable}" if problem is None else f"{problem}: set {variable} to the key itself"
        return None


def normalize_local_url(configured: str, provider: Provider) -> str:
    """Return a local server's address as a client needs it.

    People write a host alone, or the address that a server listens on. What is not an address is returned unchanged.
    """
    text = configured.strip().rstrip("/")
    bare = "://" not in text
    try:
        parts = urlsplit(f"http://{text}" if bare else text)
        port = parts.port
    except ValueError:
        return configured
    host = parts.hostname or "127.0.0.1"
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - listened on, but no address to connect to
    if port is None and bare and provider.servers:
        port = provider.servers[0].port
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    path = "/v1" if parts.path in ("", "/api") else parts.path
    return SplitResult(parts.scheme, place, path, "", "").geturl()
