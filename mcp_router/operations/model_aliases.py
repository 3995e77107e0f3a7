"""Other routers' names for providers, and the `provider/model` form."""

from __future__ import annotations

from collections.abc import Container, Mapping
from types import MappingProxyType

_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "anthropic": "claude",
        "google": "gemini",
        "google-ai": "gemini",
        "google_ai": "gemini",
        "xai": "grok",
        "x-ai": "grok",
        "moonshot": "kimi",
        "moonshotai": "kimi",
        "zai": "glm",
        "z-ai": "glm",
        "zhipu": "glm",
        "alibaba": "qwen",
        "dashscope": "qwen",
        "mistralai": "mistral",
        "hf": "huggingface",
        "ollama": "local",
    }
)


def canonical_provider(name: str, providers: Container[str]) -> str:
    """Return the configured provider that `name` means. A configured name wins over an alias; others stay as given."""
    if name in providers:
        return name
    lower = name.strip().lower()
    return lower if lower in providers else _ALIASES.get(lower, name)


def canonical_model(name: str, providers: Container[str]) -> str:
    """Return `provider:model` or `provider` for a model written as `alias:model` or `provider/model`."""
    provider, colon, model = name.partition(":")
    if "/" in provider:
        head, _, rest = name.partition("/")
        known = canonical_provider(head, providers)
        return f"{known}:{rest}" if known in providers and rest else name
    return f"{canonical_provider(provider, providers)}{colon}{model}"
