"""Guesses a use case from plain words, until something better is known."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcp_router.routes import Complexity, UseCase

_LONG = 20_000
_RULES: tuple[tuple[UseCase, str], ...] = (
    ("summarization", r"\b(summar|résum|tl;?dr|condense|shorten)"),
    ("classification", r"\b(classif|categor|label|sentiment|spam|is this .* or )"),
    ("code_generation", r"```|\b(code|function|python|javascript|sql|regex|bug|refactor|unit test)"),
    ("web_research", r"\b(search the web|latest|news|today'?s|current price|look up)"),
    ("expert_tasks", r"\b(diagnos|contract|legal|statute|clinical|theorem|thermodynamic)"),
    ("analysis", r"\b(analy[sz]|compare|calculate|how many|evaluate|trade-?offs?)"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """What a text seems to ask for, and how sure that is."""

    use_case: UseCase
    use_case_confidence: float
    complexity: Complexity = "medium"
    complexity_confidence: float = 0.5


def infer(text: str) -> Inference:
    """Guess."""
    if len(text) > _LONG:
        return Inference(use_case="long_context", use_case_confidence=0.9)
    head = text[:2_000].lower()
    for use_case, pattern in _RULES:
        if re.search(pattern, head):
            return Inference(use_case=use_case, use_case_confidence=0.6)
    return Inference(use_case="conversation", use_case_confidence=0.4)
