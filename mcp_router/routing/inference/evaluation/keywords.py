"""Tells a use case by keywords alone: what the heads are compared with, and must beat."""

import re

from mcp_router.routing.inference import LONG_CHARS, UseCase

_RULES: tuple[tuple[UseCase, str], ...] = (
    ("summarization", r"summar|tl;?dr|recap|condense|key points|résum|synthès|zusammenfass|resum|riassu"),
    ("classification", r"classif|categor|sentiment|label|spam|entail|which (?:topic|intent)|positive or neg|étiquet"),
    (
        "code_generation",
        r"\bcode\b|python|javascript|\bjava\b|\bsql\b|function|\bbug\b|script|regex|traceback|def |class |```|programm",
    ),
    ("web_research", r"\bsearch\b|latest|current|today|\bnews\b|https?:|website|look up|literature|cherche|papers"),
    ("analysis", r"analy[sz]e|compare|calculate|how many|how much|probability|solve|prove|puzzle|combien|calcul"),
    ("expert_tasks", r"patient|diagnos|legal|\blaw\b|contract|enzyme|voltage|physics|chemi|econom|which of the"),
)
_COMPILED: tuple[tuple[UseCase, re.Pattern[str]], ...] = tuple(
    (use_case, re.compile(pattern, re.IGNORECASE)) for use_case, pattern in _RULES
)


def infer_by_keywords(text: str, *, attachments: int = 0) -> UseCase:
    """Return the first use case one of whose keywords stands in a prompt."""
    if len(text) + attachments > LONG_CHARS:
        return "long_context"
    for use_case, words in _COMPILED:
        if words.search(text):
            return use_case
    return "conversation"
