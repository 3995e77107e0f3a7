"""The processing class in which a vendor served a request: it sets the price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from providers.completion import Usage
from providers.transport.payload import Json, get_path, to_text

_HEADER = "x-gemini-service-tier"
"""https://ai.google.dev/gemini-api/docs/flex-inference"""
_PREFIX = "service_tier_"
_MAX_CHARACTERS = 40


def add_service_tier(usage: Usage | None, headers: Mapping[str, str], answer: Json) -> Usage | None:
    """Return the usage with the class that header or answer report."""
    if usage is None:
        return None
    reported = (
        headers.get(_HEADER),
        get_path(answer, "usageMetadata", "serviceTier"),
        # OpenAI's, for a whole answer and for Responses. https://developers.openai.com/api/docs/guides/flex-processing
        answer.get("service_tier"),
        # Anthropic's. https://platform.claude.com/docs/en/api/service-tiers
        get_path(answer, "usage", "service_tier"),
    )
    tier = next((to_text(one) for one in reported if to_text(one)), "")
    return replace(usage, service_tier=tier.lower().removeprefix(_PREFIX)[:_MAX_CHARACTERS]) if tier else usage
