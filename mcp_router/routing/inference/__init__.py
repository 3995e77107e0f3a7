"""Says of a prompt what it is for, how complex it is and how likely a cheap model fails; in a millisecond."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from mcp_router.routing.inference.features import Reading, read
from mcp_router.routing.inference.heads import Heads, chances, heads, logits, sure

__all__ = ["Complexity", "Inference", "UseCase", "difficulty", "infer", "told_apart"]

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
_CODE, _CONVERSATION, _ANALYSIS = map(_USE_CASES.index, ("code_generation", "conversation", "analysis"))


class Inference(NamedTuple):
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
    use_case, confidence, abstained = _use_case(model, scores[: _OTHER + 1], len(text) + attachments)
    complexity, complexity_confidence = _complexity(model, scores[_OTHER + 1 :])
    return Inference(
        use_case=use_case,
        use_case_confidence=confidence,
        abstained=abstained,
        complexity=complexity,
        complexity_confidence=complexity_confidence,
        risk=risk(model, difficulty(reading, scores)),
    )


def _use_case(model: Heads, scores: list[float], size: int) -> tuple[UseCase, float, bool]:
    known = model.settings["use_case"]
    if size > LONG_CHARS:
        return "long_context", known["long_context"][0], False
    told = told_apart(scores)
    best = max(range(len(told)), key=told.__getitem__)
    abstained = best == _CONVERSATION and scores[_OTHER] > scores[_CONVERSATION]
    return _USE_CASES[best], sure(known["line"], told), abstained


def told_apart(scores: Sequence[float]) -> list[float]:
    """Returns the scores of the use cases; what is none of them is answered as a conversation, and counts as one."""
    told = list(scores[:_OTHER])
    told[_CONVERSATION] = max(told[_CONVERSATION], scores[_OTHER])
    return told


def _complexity(model: Heads, scores: list[float]) -> tuple[Complexity, float]:
    best = max(range(len(scores)), key=scores.__getitem__)
    return _COMPLEXITIES[best], sure(model.settings["complexity"]["line"], scores)


def difficulty(reading: Reading, scores: Sequence[float]) -> dict[str, float]:
    """Returns the numbers that risk weighs: what was counted, how likely reasoning is asked for, and work at all."""
    likely = chances(scores[: _OTHER + 1])
    return reading.counts | {
        "reasoning": likely[_CODE] + likely[_ANALYSIS],
        "work": 1 - likely[_CONVERSATION] - likely[_OTHER],
    }


def risk(model: Heads, counts: Mapping[str, float]) -> float:
    """Returns how likely a cheap model fails where a strong one would not."""
    total = model.risk_bias
    for name, (mean, spread, weight) in model.risk.items():
        total += weight * (math.log1p(counts[name]) - mean) / spread
    return 1 / (1 + math.exp(-total))
