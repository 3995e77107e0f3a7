"""Finish reasons of every wire, mapped to ours."""

from __future__ import annotations

from providers.completion import FinishReason, Usage
from providers.errors import BrokenAnswerError, ContentFilterError, ContextLengthError, EmptyAnswerError

REFUSED = "the model or its vendor refused to answer"
EMPTY = "the answer is empty"
ALL_THINKING = "the model spent all its output tokens on thinking: raise max_output_tokens or lower the effort"

_STOPS = {"stop", "eos", "eos_token", "stop_sequence", "tool_calls", "function_call"}
_LENGTHS = {"length", "model_length", "max_tokens"}
_REFUSALS = {"content_filter", "sensitive", "refusal"}
_CONTEXT_LENGTHS = {"model_context_window_exceeded"}


def map_finish_reason(reason: str, text: str, usage: Usage | None) -> FinishReason:
    """Return our word for a vendor's finish reason.

    Raises:
        ProviderError: The answer is refused or incomplete.
    """
    if reason in _STOPS:
        return "stop"
    if reason in _LENGTHS:
        return "length"
    if reason in _REFUSALS:
        raise ContentFilterError(REFUSED, usage=usage)
    if reason in _CONTEXT_LENGTHS:
        raise ContextLengthError("the prompt does not fit the model's context window", usage=usage)
    if not reason:
        raise BrokenAnswerError(f"the answer ended without a finish reason after {len(text)} characters")
    raise BrokenAnswerError(f"the answer ended with finish reason {reason[:40]!r}", usage=usage)


def require_text(text: str, finish: FinishReason, usage: Usage | None) -> str:
    """Return the text unchanged.

    Raises:
        EmptyAnswerError: The text is blank.
    """
    if text.strip():
        return text
    raise EmptyAnswerError(ALL_THINKING if finish == "length" else EMPTY, usage=usage)
