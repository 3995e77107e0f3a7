"""Patterns for single names, compiled so that a match takes bounded time whatever the pattern is."""

from __future__ import annotations

import re
from typing import Annotated
from unicodedata import normalize

from pydantic import BeforeValidator

_CLASS = re.compile(r"\[(?P<negated>[!^]?)(?P<body>\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]")
_POSIX = {"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s"}
_MAX_PATTERN_CHARACTERS = 1_000
_NOTHING = re.compile(r"(?!)")


def normalize_name(name: str) -> str:
    """Return a name in Unicode's composed form: macOS and Linux spell the same letter in two ways."""
    return name if name.isascii() else normalize("NFC", name)


def compile_name_pattern(pattern: str, *, classes: bool = True, escapes: bool = False) -> re.Pattern[str]:
    r"""Return a pattern with `*`, `?` and `[a-z]` for `fullmatch` on a name in composed form.

    Without `classes` brackets are ordinary characters; with `escapes` a backslash quotes the next character.
    A pattern of more than 1,000 characters matches nothing: no file system has such a name.
    """
    pattern = normalize_name(pattern)
    if len(pattern) > _MAX_PATTERN_CHARACTERS:
        return _NOTHING
    chunks = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        found = _CLASS.match(pattern, position) if classes and character == "[" else None
        if character == "*":
            chunks.append("")
        elif character == "?":
            chunks[-1] += "."
        elif found is not None:
            chunks[-1] += _translate_class(found["body"], negated=bool(found["negated"]))
        elif escapes and character == "\\" and position + 1 < len(pattern):
            position += 1
            chunks[-1] += re.escape(pattern[position])
        else:
            chunks[-1] += re.escape(character)
        position = found.end() if found is not None else position + 1
    return re.compile(_join_chunks(chunks), re.DOTALL)


NamePattern = Annotated[re.Pattern[str], BeforeValidator(compile_name_pattern)]
"""A pattern in a table of names."""


def _join_chunks(chunks: list[str]) -> str:
    """Join what stands between stars. The first match of each chunk is kept, so nothing is tried twice."""
    if len(chunks) == 1:
        return chunks[0]
    first, *middle, last = chunks
    return first + "".join(f"(?>.*?{chunk})" for chunk in middle if chunk) + f".*{last}"


def _translate_class(body: str, *, negated: bool) -> str:
    body = re.sub(r"\\(.)", r"\1", body)
    sets = "".join(_POSIX.get(name, "") for name in re.findall(r"\[:(\w+):\]", body))
    plain = re.sub(r"\[:\w+:\]", "", body)
    ranges = re.findall(r"(.)-(.)|(.)", plain, re.DOTALL)
    for low, high, single in ranges:
        if single:
            sets += re.escape(single)
        elif low <= high:
            sets += f"{re.escape(low)}-{re.escape(high)}"
    if not sets:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{sets}]"
