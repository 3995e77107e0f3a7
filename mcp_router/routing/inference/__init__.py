"""Says of a prompt what it is for, how complex it is and how likely a cheap model fails; in a millisecond."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from mcp_router.routing.inference.features import Reading, read_features, read_instruction
from mcp_router.routing.inference.heads import Heads, compute_logits, load_heads, to_confidence, to_probabilities

__all__ = ["Complexity", "Inference", "UseCase", "collect_difficulty", "infer", "merge_other"]

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


def infer(
    text: str, *, system: str | None = None, attachments: int = 0, hints: Mapping[str, float] | None = None
) -> Inference:
    """Return what a call says about itself.

    `text` is the prompt, `system` the system text, `attachments` the characters of what goes with the prompt, and
    `hints` what the shape of the call adds to the score of a label (see `call_shape`).
    """
    model = load_heads()
    reading = read_features(text)
    scores = compute_logits(model, reading)
    if system is not None and (instruction := read_instruction(system)) is not None:
        scores = [one + other for one, other in zip(scores, compute_logits(model, instruction), strict=True)]
    if hints:
        scores = [score + hints.get(label, 0.0) for label, score in zip(model.labels, scores, strict=True)]
    use_case, confidence, abstained = _use_case(model, scores[: _OTHER + 1], len(text) + attachments)
    complexity, complexity_confidence = _complexity(model, scores[_OTHER + 1 :])
    return Inference(
        use_case=use_case,
        use_case_confidence=confidence,
        abstained=abstained,
        complexity=complexity,
        complexity_confidence=complexity_confidence,
        risk=compute_risk(model, collect_difficulty(reading, scores)),
    )


def _use_case(model: Heads, scores: list[float], size: int) -> tuple[UseCase, float, bool]:
    known = model.settings["use_case"]
    if size > LONG_CHARS:
        return "long_context", known["long_context"][0], False
    merged = merge_other(scores)
    best = max(range(len(merged)), key=merged.__getitem__)
    abstained = best == _CONVERSATION and scores[_OTHER] > scores[_CONVERSATION]
    return _USE_CASES[best], to_confidence(known["line"], merged), abstained


def merge_other(scores: Sequence[float]) -> list[float]:
    """Return the scores of the use cases; what is none of them is answered as a conversation, and counts as one."""
    merged = list(scores[:_OTHER])
    merged[_CONVERSATION] = max(merged[_CONVERSATION], scores[_OTHER])
    return merged


def _complexity(model: Heads, scores: list[float]) -> tuple[Complexity, float]:
    best = max(range(len(scores)), key=scores.__getitem__)
    return _COMPLEXITIES[best], to_confidence(model.settings["complexity"]["line"], scores)


def collect_difficulty(reading: Reading, scores: Sequence[float]) -> dict[str, float]:
    """Return the numbers that risk weighs: what was counted, how likely reasoning is asked for, and work at all."""
    likely = to_probabilities(scores[: _OTHER + 1])
    return reading.counts | {
        "reasoning": likely[_CODE] + likely[_ANALYSIS],
        "work": 1 - likely[_CONVERSATION] - likely[_OTHER],
    }


def compute_risk(model: Heads, counts: Mapping[str, float]) -> float:
    """Return how likely a cheap model fails where a strong one would not."""
    total = model.risk_bias
    for name, (mean, spread, weight) in model.risk.items():
        total += weight * (math.log1p(counts[name]) - mean) / spread
    return 1 / (1 + math.exp(-total))
