"""Which tier a call gets if its caller names neither use case nor tier: by its difficulty, and in doubt the middle."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_router.routing.routes import Complexity, Tier, UseCase

RISKY_USE_CASES: frozenset[UseCase] = frozenset({"analysis", "code_generation", "expert_tasks"})
"""Use cases whose prompts grow with the task; elsewhere a long prompt is long material, which says little of risk."""
HIGH_RISK = 0.33
"""Risk from which a stronger model is worth its price: one in ten or twenty of the prompts the risk was fitted on."""
PREMIUM_CONFIDENCE = 0.7
ULTRA_ECONOMY_CONFIDENCE = 0.8

_BY_SIZE: frozenset[UseCase] = frozenset({"long_context", "web_research"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Difficulty:
    """What is known of a call's class and difficulty. A confidence of 1 is the caller's word."""

    use_case: UseCase
    use_case_confidence: float
    complexity: Complexity
    complexity_confidence: float
    risk: float = 0.0

    @property
    def confidence(self) -> float:
        """Confidence of what is less certain."""
        return min(self.use_case_confidence, self.complexity_confidence)

    @property
    def is_risky(self) -> bool:
        """Whether a cheap model probably fails where a stronger one does not."""
        return self.risk >= HIGH_RISK and self.use_case in RISKY_USE_CASES


@dataclass(frozen=True, kw_only=True, slots=True)
class TierChoice:
    """Tiers to try, the cheapest first, until a model fits."""

    tiers: tuple[Tier, ...]
    reason: str


def choose_tiers(of: Difficulty) -> TierChoice:
    """Choose tiers for an inferred use case.

    An inference never opens `enterprise`. It takes `premium` only for what is surely complex, and `ultra_economy` only
    for what is surely a simple classification. A tier in which no model fits gives way to the next, up to `standard`.
    """
    if of.use_case in _BY_SIZE:
        return TierChoice(
            tiers=("economy", "standard", "premium"), reason=f"{of.use_case}: the lowest tier in which a model fits"
        )
    if of.complexity == "complex" and of.confidence >= PREMIUM_CONFIDENCE:
        return TierChoice(
            tiers=("premium",),
            reason=f"complex, with a confidence of at least {PREMIUM_CONFIDENCE} in use case and complexity",
        )
    if of.complexity == "complex" or of.is_risky:
        why = "complex" if of.complexity == "complex" else "a cheap model may fail"
        return TierChoice(
            tiers=("standard",),
            reason=f"{why}; premium needs a complex call and a confidence of {PREMIUM_CONFIDENCE} in both guesses",
        )
    is_simple_choice = of.use_case == "classification" and of.complexity == "simple"
    if is_simple_choice and of.confidence >= ULTRA_ECONOMY_CONFIDENCE:
        return TierChoice(tiers=("ultra_economy", "economy", "standard"), reason="surely a simple classification")
    return TierChoice(
        tiers=("economy", "standard"),
        reason=f"{of.complexity}; ultra_economy needs a simple classification at a confidence of "
        f"{ULTRA_ECONOMY_CONFIDENCE}, standard a complex or risky call",
    )
