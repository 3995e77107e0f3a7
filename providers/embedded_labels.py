"""Sorting a text under one of the labels its prompt names: what a very small model can do well, shown how."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from providers.completion import Prompt

_FEWEST_LABELS, _MOST_LABELS = 2, 12
_LONGEST_LABEL = 40
_MOST_WORDS = 4
_LABEL_TOKENS = 48
"""More than any label takes; the grammar ends the answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """A text to continue, and the grammar that lets it go on only with a label."""

    prompt: str
    grammar: str
    max_output_tokens: int = _LABEL_TOKENS


_LIST = r"(?P<list>[^\n.:;?!]+)"
_NAMED = (
    # As in: please classify this review as positive, negative or neutral.
    re.compile(
        r"\b(?:classif(?:y|ies|ier|iez)|categori[sz]e|label|tag|classez?|cat[ée]goris(?:e[rz]?)|[ée]tiquet(?:te|te[rz]|er))\b"
        r"[^\n.:;?!]{0,80}?\b(?:as|into|with|comme|en|dans|parmi)\b(?:\s+(?:either|one of|soit))?\s*:?\s*" + _LIST,
        re.IGNORECASE,
    ),
    # As in a line of its own that opens with the word and a colon, in English or French.
    re.compile(
        r"\b(?:labels|classes|categories|tags|cat[ée]gories|[ée]tiquettes)\b(?:\s+are|\s+sont)?\s*[:=]\s*" + _LIST,
        re.IGNORECASE,
    ),
)
_CHOICE = re.compile(
    r"\b(?:one of|parmi|l['\u2019]un(?:e)? (?:de|des))\b(?:\s+(?:these|the following|les suivant(?:e)?s))?"
    r"(?:\s+(?:labels|words|categories|classes|mots|cat[ée]gories|[ée]tiquettes))?\s*:?\s*" + _LIST,
    re.IGNORECASE,
)
_CHOOSING = re.compile(
    r"\b(?:classif|categor|cat[ée]gor|label|sentiment|[ée]tiquet|answer|respond|reply|r[ée]pon[ds]|choose|pick|choisi|intent)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:or|and|ou|et)\s+|,|\s/\s|/|\||\s+(?:or|ou)\s+)\s*", re.IGNORECASE)


def labels_in(text: str) -> tuple[str, ...]:
    """The labels a text asks to choose from, as it writes them; empty where that is not certain."""
    found = _found(text)
    return found[0] if found else ()


def classification(prompt: Prompt) -> Classification | None:
    """The prompt as a classification; None where it is not surely one."""
    if len(prompt.messages) != 1:
        return None
    text = prompt.messages[0].content
    if found := _found(text):
        labels, start, end = found
        rest = f"{text[:start]} {text[end:]}" if text[end:].strip(" .:;?!\n") == "" else text[end:]
        return _shown(labels, rest)
    if prompt.system and (labels := labels_in(prompt.system)):
        return _shown(labels, text)
    return None


def _found(text: str) -> tuple[tuple[str, ...], int, int] | None:
    patterns = (*_NAMED, _CHOICE) if _CHOOSING.search(text) else _NAMED
    for pattern in patterns:
        for match in pattern.finditer(text):
            if labels := _split(match["list"]):
                return labels, match.start(), match.end()
    return None


def _split(listed: str) -> tuple[str, ...]:
    labels = tuple(part.strip(" \t\"'`*()[]{}«»“”") for part in _SEPARATOR.split(listed.strip()))
    if not _FEWEST_LABELS <= len(labels) <= _MOST_LABELS or len({label.lower() for label in labels}) != len(labels):
        return ()
    if any(not label or len(label) > _LONGEST_LABEL or len(label.split()) > _MOST_WORDS for label in labels):
        return ()
    return labels


def _shown(labels: tuple[str, ...], text: str) -> Classification:
    subject = " ".join(text.strip(" .:;?!\n\"'").split())
    examples = "".join(f"Text: This is about {label}. It is {label}.\nLabel: {label}\n\n" for label in labels)
    choices = " | ".join(json.dumps(f" {label}", ensure_ascii=False) for label in labels)
    return Classification(prompt=f"{examples}Text: {subject}\nLabel:", grammar=f"root ::= {choices}")
