"""The tables that tell of providers: who they are, where, what they can, and how they fail."""

from __future__ import annotations

from providers import errors
from providers.catalog import Provider
from providers.registry import load_providers as shipped_providers
from scripts.markdown import table


def providers() -> str:
    """Say how each provider is called, which variable holds its key, and which wire it is asked over."""
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
    """Say where each provider is, and what points elsewhere."""
    return table(
        ("provider", "address", "variables that point elsewhere"),
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
    """Say what each provider's wire can carry, as its row has it."""
    return table(
        ("provider", "structured answers", "how much a model thinks", "a web search", "images", "PDFs", "its own bill"),
        (
            (
                f"`{one.name}`",
                "by grammar" if one.wire == "embedded" else _SCHEMAS[one.schema],
                "not told" if one.thinking_field == "none" and one.wire not in _THINKS else "told",
                f"${one.search.fee_usd} and tokens" if one.search else "-",
                _able(one, "vision"),
                _able(one, "pdf"),
                "-" if one.reported_cost == "none" else "yes",
            )
            for one in shipped_providers()
            if one.retired is None and one.name != "local"
        ),
    )


_SCHEMAS = {"json_schema": "held to the schema", "json_object": "held to JSON", "none": "asked in words"}
_THINKS = ("anthropic_messages", "openai_responses")


def _able(provider: Provider, feature: str) -> str:
    able = sum(feature in model.features for model in provider.models)
    return f"{able} of {len(provider.models)}" if able else "-"


def failures() -> str:
    """Say what each kind of failure does to a call, as the errors' own attributes have it."""
    kinds = [one for one in _tree(errors.ProviderError) if one is not errors.ProviderError]
    return table(
        ("kind", "when", "left alone for a while", "then"),
        (
            (
                f"`{one.kind}`",
                (one.__doc__ or "").splitlines()[0].rstrip("."),
                "nobody" if one.bench == "nothing" else f"the {one.bench}",
                _THEN.get(one.kind, "the next model is asked"),
            )
            for one in kinds
        ),
    )


_THEN = {
    "authentication": "the next model of another provider is asked",
    "quota": "the next model of another provider is asked",
    "context_length": "the next model with a larger window is asked",
    "content_filter": "the next model of another lineage is asked",
    "empty": "the next stronger model is asked",
    "invalid_request": "the call fails: no other model would answer it",
}


def _tree(one: type[errors.ProviderError]) -> list[type[errors.ProviderError]]:
    children = [child for child in one.__subclasses__() if child.__module__ == one.__module__]
    return [one, *(each for child in children for each in _tree(child))]
