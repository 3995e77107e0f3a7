"""Codes and words by which vendors say what failed; the table is `error_signs.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal, cast

Meaning = Literal[
    "account",
    "caller",
    "content_filter",
    "context",
    "garbled",
    "key",
    "model",
    "model_quota",
    "overloaded",
    "parameter",
    "quota",
    "rate",
]

_UNMISTAKABLE_FIELD = (
    r"max_tokens|max_completion_tokens|max_output_tokens|maxoutputtokens|top_[pk]|reasoning_effort|reasoning\.effort"
    r"|budget_tokens|enable_\w+|stream_options|service_tier|response_format|json_schema|output_config\w*|cache_control"
    r"|prompt_cache\w*|tool_choice|web_search\w*|include_reasoning|generation_?config\w*|response_?(?:json_)?schema"
    r"|response_?mime_?type|text\.format|thinking_?(?:config|budget|level)|additionalproperties"
)
_WORDLIKE_FIELD = r"temperature|thinking|reasoning|stream|tools|verbosity|seed|store"
FIELD = re.compile(
    rf"(?<![\w-])({_UNMISTAKABLE_FIELD})(?![\w-])|[`'\"]({_WORDLIKE_FIELD})[`'\"]|^({_WORDLIKE_FIELD})\b", re.IGNORECASE
)
"""A field of the request that the router chose, as vendors write it in a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorSigns:
    """The table, by meaning, in the order in which meanings are tried."""

    codes: Mapping[Meaning, frozenset[str]]
    """Codes that mean one thing whatever the status."""
    general_codes: Mapping[Meaning, frozenset[str]]
    """Codes that vendors use loosely: the message decides first."""
    words: Mapping[Meaning, re.Pattern[str]]


@lru_cache(maxsize=1)
def load_error_signs() -> ErrorSigns:
    """Return the table; it is read when the first error needs it."""
    text = (files("providers.transport") / "error_signs.toml").read_text("utf-8")
    table = cast("Mapping[str, Mapping[Meaning, list[str]]]", tomllib.loads(text))
    return ErrorSigns(
        codes={meaning: frozenset(codes) for meaning, codes in table["codes"].items()},
        general_codes={meaning: frozenset(codes) for meaning, codes in table["general_codes"].items()},
        words={meaning: re.compile("|".join(patterns)) for meaning, patterns in table["words"].items()},
    )
