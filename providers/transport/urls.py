"""Base URLs of providers, however they were written."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from providers.catalog import Provider


def resolve_base_url(provider: Provider, override: str | None) -> str:
    """Where to post, without a slash at the end; an override without a path takes the provider's."""
    if not override:
        return provider.base_url.rstrip("/")
    override = override.strip().rstrip("/")
    if not is_http_url(override) or urlsplit(override).path:
        return override
    return f"{override}{urlsplit(provider.base_url).path}".rstrip("/")


@lru_cache(maxsize=256)
def is_http_url(url: str) -> bool:
    """Whether a client can be pointed there at all."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0


def strip_version(base_url: str) -> str:
    """For an SDK that adds `/v1` by itself."""
    return base_url.removesuffix("/v1")


def to_gemini_native_url(base_url: str) -> str:
    """Return the native endpoint beside Gemini's OpenAI-compatible one."""
    return base_url.removesuffix("/openai")


def format_url(url: str) -> str:
    """Return an address for display: without user, password and query."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
