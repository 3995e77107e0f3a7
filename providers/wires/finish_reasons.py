"""Finish reasons of every wire, mapped to ours."""

from __future__ import annotations

import re

from providers.completion import FinishReason, Usage
from providers.errors import BrokenAnswerError, ContentFilterError, ContextLengthError, EmptyAnswerError

REFUSED = "the model or its vendor refused to answer"
EMPTY = "the answer is empty"
ALL_THINKING = "the model spent all its output tokens on thinking: raise max_output_tokens or lower the effort"

_PREFIX = re.compile(r"^(finish_?reason|stop_?reason)[._:]")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[a-z]+")
_MISSING = {"", "null", "none"}
_CONTEXT_LENGTHS = {"model_context_window_exceeded", "context_window_exceeded", "context_length_exceeded"}
_FAILURES = {
    *(
        "error",
        "errors",
        "failed",
        "failure",
        "abort",
        "aborted",
        "cancel",
        "cancelled",
        "canceled",
        "timeout",
        "interrupted",
    ),
    *(
        "insufficient",
        "malformed",
        "unexpected",
        "invalid",
        "unspecified",
        "unknown",
        "other",
        "incomplete",
        "language",
    ),
    *("interrupted", "language", "overloaded", "disconnect", "disconnected", "not", "user", "rate", "quota", "time"),
}
_REFUSALS = {
    *("refusal", "refused", "filter", "filtered", "contentfilter", "safety", "sensitive", "blocked", "blocklist"),
    *("recitation", "prohibited", "prohibitedcontent", "spii", "moderation", "policy", "guardrail", "guardrails"),
}
_LENGTHS = {"length", "max", "maxtokens", "maxlength", "limit", "truncated", "budget"}
_STOPS = {
    *("stop", "stopped", "stopping", "eos", "eot", "end", "ended", "endturn", "endofturn", "endoftext"),
    *("complete", "completed", "completion", "done", "finish", "finished", "success", "succeeded", "normal", "natural"),
    *("tool", "toolcalls", "function", "stopsequence"),
}
"""Words of vendors' finish reasons, checked in this order: failures, refusals, limits, good ends."""


def map_finish_reason(reason: str, text: str, usage: Usage | None, *, is_complete: bool = False) -> FinishReason:
    """Return our word for a vendor's finish reason.

    `is_complete` says that the answer is one JSON document: without a reason, it ended well.

    Raises:
        ProviderError: The answer is refused or incomplete.
    """
    plain = _PREFIX.sub("", _CAMEL_CASE.sub("_", reason.strip()).lower())
    words = set(_WORD.findall(plain))
    if plain in _CONTEXT_LENGTHS:
        raise ContextLengthError("the prompt does not fit the model's context window", usage=usage)
    if plain in _MISSING:
        if is_complete and text.strip():
            return "stop"
        raise BrokenAnswerError(f"the answer ended without a finish reason after {len(text)} characters")
    if words & _FAILURES:
        raise BrokenAnswerError(f"the answer ended with finish reason {reason[:40]!r}", usage=usage)
    if words & _REFUSALS:
        raise ContentFilterError(REFUSED, usage=usage)
    if words & _LENGTHS:
        return "length"
    if words & _STOPS:
        return "stop"
    raise BrokenAnswerError(f"the answer ended with finish reason {reason[:40]!r}", usage=usage)


def require_text(text: str, finish: FinishReason, usage: Usage | None) -> str:
    """Return the text unchanged.

    Raises:
        EmptyAnswerError: The text is blank.
    """
    if text.strip():
        return text
    raise EmptyAnswerError(ALL_THINKING if finish == "length" else EMPTY, usage=usage)
