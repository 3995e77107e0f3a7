"""Tables about providers: keys, addresses, abilities, failures."""

from __future__ import annotations

from collections.abc import Mapping

from providers import errors
from providers.catalog import Provider
from providers.registry import load_providers as shipped_providers
from scripts.markdown import table


def providers() -> str:
    """Return each provider with the variables of its key and its wire."""
    return table(
        ("provider", "", "key variable", "models", "wire"),
        (
            (
                f"`{one.name}`",
                f"[{one.title}]({one.docs_url})" + (f", retired {one.retired}" if one.retired else ""),
                " or ".join(f"`{name}`" for name in one.key_env) or "none",
                str(len(one.models)) if one.models else "-",
                f"`{one.wire}`",
            )
            for one in shipped_providers()
        ),
    )


def addresses() -> str:
    """Return each provider's address and the variables that change it."""
    return table(
        ("provider", "address", "variables that change it"),
        (
            (
                f"`{one.name}`",
                f"`{one.base_url}`" if one.base_url else "in this process",
                ", ".join(f"`{name}`" for name in dict.fromkeys((f"{one.name.upper()}_BASE_URL", *one.base_url_env)))
                if one.base_url
                else "-",
            )
            for one in shipped_providers()
        ),
    )


def abilities() -> str:
    """Return what each provider supports, from its row."""
    return table(
        ("provider", "structured answers", "effort", "web search", "images", "PDFs", "reports its cost"),
        (
            (
                f"`{one.name}`",
                "by grammar" if one.wire == "embedded" else _SCHEMAS[one.schema],
                "-" if one.thinking_field == "none" and one.wire not in _THINKS else "sent",
                f"${one.search.fee_usd} and tokens" if one.search else "-",
                _able(one, "vision"),
                _able(one, "pdf"),
                "-" if one.reported_cost == "none" else "yes",
            )
            for one in shipped_providers()
            if one.retired is None and one.name != "local"
        ),
    )


_SCHEMAS = {"json_schema": "schema enforced", "json_object": "JSON enforced", "none": "asked in words"}
_THINKS = ("anthropic_messages", "openai_responses")


def _able(provider: Provider, feature: str) -> str:
    able = sum(feature in model.features for model in provider.models)
    return f"{able} of {len(provider.models)}" if able else "-"


def failures() -> str:
    """Return what each kind of failure does to a call, from the errors' attributes."""
    kinds = [one for one in _tree(errors.ProviderError) if one is not errors.ProviderError]
    return table(
        ("kind", "when", "breaker of", "then"),
        (
            (
                f"`{one.kind}`",
                (one.__doc__ or "").splitlines()[0].rstrip("."),
                "none" if one.breaker_scope is None else f"the {one.breaker_scope}",
                _THEN[one.fallback],
            )
            for one in kinds
        ),
    )


_THEN: Mapping[errors.Fallback, str] = {
    "any": "the next candidate",
    "other_provider": "the next candidate of another provider",
    "larger_window": "the next candidate with a larger window",
    "other_lineage": "the next candidate of another lineage",
    "stronger": "the next candidate, stronger ones first",
    "nowhere": "the call fails",
}


def _tree(one: type[errors.ProviderError]) -> list[type[errors.ProviderError]]:
    children = [child for child in one.__subclasses__() if child.__module__ == one.__module__]
    return [one, *(each for child in children for each in _tree(child))]
