"""The receipt of a call, in the body and the headers of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_router.execution.call import Generation
from mcp_router.http.responses import Json
from mcp_router.money import to_number


def build_receipt(generation: Generation, unused: Sequence[str]) -> Json:
    """Return what a call cost and why its model was chosen; `unused` are fields of the request without effect."""
    task = generation.plan.task
    receipt: Json = {
        "call_id": generation.call_id,
        "model": generation.candidate.model.id,
        "cost_usd": to_number(generation.cost_usd),
        "saved_usd": to_number(generation.saved_usd),
        "use_case": task.use_case,
        "budget_tier": task.budget_tier,
        "reason": generation.candidate.why,
    }
    if task.inferred:
        receipt["inferred"] = list(task.inferred)
    if generation.fallbacks:
        receipt["fallbacks"] = generation.fallbacks
    if generation.completion.citations:
        receipt["citations"] = list(generation.completion.citations)
    if unused:
        receipt["unused"] = list(unused)
    if generation.warnings:
        receipt["warning"] = "; ".join(generation.warnings)
    return receipt


def build_receipt_headers(generation: Generation) -> dict[str, str]:
    """Return the receipt's headers; a figure that is unknown has none."""
    figures = {
        "x-router-cost-usd": to_number(generation.cost_usd),
        "x-router-saved-usd": to_number(generation.saved_usd),
    }
    return {
        "x-router-call-id": generation.call_id,
        "x-router-model": generation.candidate.model.id.encode("ascii", "replace").decode(),
        **{name: f"{figure:.9f}" for name, figure in figures.items() if figure is not None},
    }
