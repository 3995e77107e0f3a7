"""Says of a prompt what it is for, how complex it is and how likely a cheap model fails; in a millisecond."""

import math
from dataclasses import dataclass
from typing import Literal

from mcp_router.inference.features import Reading, read
from mcp_router.inference.heads import Heads, along, chances, heads, logits

__all__ = ["Complexity", "Inference", "UseCase", "infer"]

UseCase = Literal[
    "classification",
    "code_generation",
    "conversation",
    "summarization",
    "analysis",
    "long_context",
    "web_research",
    "expert_tasks",
]
Complexity = Literal["simple", "medium", "complex"]

LONG_CHARS = 20_000
"""Beyond this a prompt and its files are long context, whatever is asked about them."""

_USE_CASES: tuple[UseCase, ...] = (
    "classification",
    "code_generation",
    "conversation",
    "summarization",
    "analysis",
    "web_research",
    "expert_tasks",
)
_COMPLEXITIES: tuple[Complexity, ...] = ("simple", "medium", "complex")
_OTHER = len(_USE_CASES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """What a prompt says about itself."""

    use_case: UseCase
    use_case_confidence: float
    """How often a choice made with such evidence is right, measured on sources left out of training."""
    abstained: bool
    """True where no use case stood out: `conversation` then, with the tier of the complexity."""
    complexity: Complexity
    complexity_confidence: float
    risk: float
    """How likely a cheap model fails where a strong one would not, between 0 and 1; says nothing about complexity."""


def infer(text: str, *, attachments: int = 0) -> Inference:
    """Returns what the prompt says about itself; `attachments` is the size in characters of what goes with it."""
    model = heads()
    reading = read(text)
    scores = logits(model, reading)
    split = _OTHER + 1
    use_case, confidence, abstained = _use_case(model, scores[:split], len(text) + attachments)
    complexity, complexity_confidence = _complexity(model, scores[split:])
    return Inference(
        use_case=use_case,
        use_case_confidence=confidence,
        abstained=abstained,
        complexity=complexity,
        complexity_confidence=complexity_confidence,
        risk=risk(model, reading),
    )


def _use_case(model: Heads, scores: list[float], size: int) -> tuple[UseCase, float, bool]:
    known = model.settings["use_case"]
    if size > LONG_CHARS:
        return "long_context", known["long_context"][0], False
    likely = chances(scores, known["temperature"][0])
    best = max(range(len(likely)), key=likely.__getitem__)
    confidence = along(known["knots"], known["accuracy"], likely[best])
    if best == _OTHER or confidence < known["abstain_below"][0]:
        return "conversation", along(known["other_knots"], known["other_accuracy"], likely[2] + likely[_OTHER]), True
    return _USE_CASES[best], confidence, False


def _complexity(model: Heads, scores: list[float]) -> tuple[Complexity, float]:
    known = model.settings["complexity"]
    likely = chances(scores, known["temperature"][0])
    best = max(range(len(likely)), key=likely.__getitem__)
    return _COMPLEXITIES[best], along(known["knots"], known["accuracy"], likely[best])


def risk(model: Heads, reading: Reading) -> float:
    """Returns how likely a cheap model fails where a strong one would not."""
    total = model.risk_bias
    for name, (mean, spread, weight) in model.risk.items():
        total += weight * (math.log1p(reading.counts.get(name, 0.0)) - mean) / spread
    return 1 / (1 + math.exp(-total))
