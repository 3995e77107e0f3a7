"""Where the effort travels on Chat Completions: every vendor has its own field."""

from __future__ import annotations

from typing import assert_never

from providers.catalog import Model, Provider
from providers.completion import Effort
from providers.wires.request_options import dialled


def thinking(provider: Provider, model: Model, effort: Effort) -> dict[str, object]:
    """The fields that set how much this model thinks; none where it cannot be told."""
    if model.thinking.default == "none":
        return {}
    match provider.thinking_field:
        case "none":
            return {}
        case "reasoning_effort":
            return _off(model, effort, {"reasoning_effort": "none"}) or _dial(model, effort)
        case "openrouter_reasoning":
            level = "none" if _switched_off(model, effort) else dialled(model, effort)
            return {"reasoning": {"effort": level}} if level else {}
        case "thinking_type":
            on = _on(model, {"thinking": {"type": "enabled"}})
            return _off(model, effort, {"thinking": {"type": "disabled"}}) or {**on, **_dial(model, effort)}
        case "enable_thinking":
            on = _on(model, {"enable_thinking": True})
            return _off(model, effort, {"enable_thinking": False}) or {**on, **_dial(model, effort)}
        case _:
            assert_never(provider.thinking_field)


def _switched_off(model: Model, effort: Effort) -> bool:
    return effort == "off" and model.thinking.off not in {None, "omit"}


def _off(model: Model, effort: Effort, switch: dict[str, object]) -> dict[str, object]:
    return switch if _switched_off(model, effort) else {}


def _on(model: Model, switch: dict[str, object]) -> dict[str, object]:
    # A model that always thinks, or whose switch nobody knows, is not sent one.
    return switch if model.thinking.off is not None or model.thinking.default == "on" else {}


def _dial(model: Model, effort: Effort) -> dict[str, object]:
    level = dialled(model, effort)
    return {"reasoning_effort": level} if level else {}
