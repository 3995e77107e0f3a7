"""Classification by example under the labels a prompt names: a very small model cannot do it by chat."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from providers.completion import Prompt

_MIN_LABELS, _MAX_LABELS = 2, 12
_MAX_LABEL_CHARS = 40
_MAX_LABEL_WORDS = 4

_LIST = r"\s*:?\s*(?P<list>[^\n.:;?!]+)"
_OPENING = r"(?:^|[.!?:\n]\s*)(?:please\s+|now\s+|s['\u2019]il (?:te|vous) pla[iî]t,?\s+)?"
_NAMED = re.compile(
    _OPENING + r"(?:(?:classify|categori[sz]e|label|tag)\b[^\n.:;?!]{0,80}?\b(?:as|into)\b(?:\s+(?:either|one of))?"
    r"|(?:class(?:e[rz]?|ifie[rz]?)|cat[ée]gorise[rz]?|[ée]tiquet(?:te|e[rz]))\b[^\n.:;?!]{0,80}?"
    r"\b(?:comme|en|dans|parmi)\b(?:\s+soit)?)" + _LIST,
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"(?:\b(?:labels|classes|categories|tags|cat[ée]gories|[ée]tiquettes)\b(?:\s+are|\s+sont)?\s*(?=:)"
    r"|\b(?:one of|parmi|l['\u2019]une? (?:de|des))\b(?:\s+(?:these|the following|les suivante?s))?"
    r"(?:\s+(?:labels|words|categories|classes|mots|cat[ée]gories|[ée]tiquettes))?)" + _LIST,
    re.IGNORECASE,
)
_CHOOSING = re.compile(
    r"\b(?:classif|classe[rz]? |categori[sz]e|cat[ée]goris|label|[ée]tiquet|assign|choose|pick |select|choisi"
    r"|which|quel|sentiment|intent|(?:answer|reply|respond) with|r[ée]pon[ds])",
    re.IGNORECASE,
)
_MAKING = re.compile(
    r"\b(?:write|generate|implement|create|draft|summari[sz]e|translate|explain|build|make|list"
    r"|[ée]cri[srtv]|r[ée]dige|g[ée]n[èe]re|r[ée]sume|tradui|explique|cr[ée]e)",
    re.IGNORECASE,
)
"""In such a task a list does not mean labels."""
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:or|and|ou|et)\s+|,|/|\||\s+(?:or|ou)\s+)\s*", re.IGNORECASE)
_FILE = re.compile(r"File: [^\n]+\n(?P<fence>`{3,})\n(?P<content>.*?)\n(?P=fence)$", re.DOTALL | re.MULTILINE)
"""A file as prompts carry it: its name must not be read as part of the text."""
_HEADING = re.compile(r"^\s*(?:text|review|message|texte|avis)\s*:", re.IGNORECASE)
_NOT_IN_LABELS = frozenset(
    {
        "the",
        "this",
        "that",
        "these",
        "following",
        "and",
        "then",
        "it",
        "its",
        "with",
        "for",
        "if",
        "by",
        "le",
        "la",
        "les",
        "ce",
        "cette",
        "ces",
        "et",
        "puis",
        "avec",
        "pour",
        "selon",
    }
)

_EXAMPLES: Mapping[str, tuple[str, str]] = {
    "positive": ("The staff were kind and everything was perfect.", "I am so happy with it, it works great."),
    "negative": ("It stopped working and no one helped me.", "A waste of time, I am very disappointed."),
    "neutral": ("The shop opens at nine and closes at six.", "The parcel weighs two kilos."),
    "positif": ("Le personnel était gentil et tout était parfait.", "Je suis très content, ça marche bien."),
    "négatif": ("Ça ne marche plus et personne ne m'a aidé.", "Une perte de temps, très décevant."),
    "neutre": ("Le magasin ouvre à neuf heures.", "Le colis pèse deux kilos."),
    "spam": ("Congratulations! You have won $1000, claim it today!", "Lose weight fast with this secret offer!"),
    "ham": ("I will be ten minutes late for our call.", "Thanks for the photos, mum says hello."),
    "bug": ("The page stays blank after I log in.", "The upload fails with an exception."),
    "feature request": ("Could you support keyboard shortcuts?", "I wish I could sort the list by date."),
    "question": ("How do I change my password?", "Where can I find the manual?"),
    "billing": ("You took the payment two times from my card.", "I need a refund for my subscription."),
    "praise": ("Thank you so much, this is wonderful.", "I love it, great work by everyone."),
    "urgent": ("Production is down, we need help right now!", "The patient stopped breathing, hurry!"),
    "not urgent": ("No rush, answer whenever you like.", "Sometime next month, please tidy the wiki."),
    "sports": ("She scored twice in the second half of the match.", "The runner broke the world record."),
    "politics": ("The parliament voted on the budget.", "The minister resigned after the election."),
    "technology": ("The startup released new software for robots.", "The laptop has a faster processor."),
}
"""Example texts of common labels; any other label is its own example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """A text to continue, and a grammar that accepts only a label."""

    labels: tuple[str, ...]
    prompt: str
    grammar: str
    field: str | None = None
    """Property of the JSON object that carries the label; None for the bare label."""

    def to_answer(self, text: str) -> str:
        """Return the generated label in the form that was asked for."""
        return text if self.field is None else json.dumps({self.field: text.strip()}, ensure_ascii=False)


def find_labels(text: str) -> tuple[str, ...]:
    """Return the labels a text asks to choose from, as written; empty if uncertain."""
    found = _find_labels_and_subject(text)
    return found[0] if found else ()


def build_classification(prompt: Prompt) -> Classification | None:
    """Return the prompt as a classification, or None if it is not clearly one."""
    if len(prompt.messages) != 1:
        return None
    text = _FILE.sub(lambda file: file["content"], prompt.messages[0].content)
    if prompt.response_schema is not None:
        return _choice_in_schema(prompt.response_schema, text)
    if found := _find_labels_and_subject(text):
        labels, subject = found
        return _build_examples(labels, subject) if subject else None
    labels = find_labels(prompt.system or "")
    return _build_examples(labels, text) if labels else None


def _choice_in_schema(schema: Mapping[str, object], text: str) -> Classification | None:
    """Return the classification that a schema asks for: an enum of strings, or an object with one such property."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return None
    fields = cast("Mapping[str, object]", properties)
    if len(fields) != 1:
        return None
    ((field, choice),) = fields.items()
    names = cast("Mapping[str, object]", choice).get("enum") if isinstance(choice, Mapping) else None
    values = cast("list[object]", names) if isinstance(names, list) else []
    labels = tuple(value for value in values if isinstance(value, str))
    if len(labels) != len(values) or not _MIN_LABELS <= len(labels) <= _MAX_LABELS:
        return None
    found = _find_labels_and_subject(text)
    return _build_examples(labels, found[1] if found and found[1] else text, field=field)


def _find_labels_and_subject(text: str) -> tuple[tuple[str, ...], str] | None:
    for pattern in (_NAMED, _LISTED) if _CHOOSING.search(text) else ():
        for match in pattern.finditer(text):
            labels = _split_labels(match["list"])
            if labels and not _MAKING.search(text[: match.start()]):
                return labels, _extract_subject(text[: match.start()], text[match.end() :])
    return None


def _split_labels(listed: str) -> tuple[str, ...]:
    labels = tuple(part.strip(" \t\"'`*()[]{}«»“”") for part in _SEPARATOR.split(listed.strip()))
    if not _MIN_LABELS <= len(labels) <= _MAX_LABELS or len({label.lower() for label in labels}) != len(labels):
        return ()
    return labels if all(_is_label(label) for label in labels) else ()


def _is_label(text: str) -> bool:
    words = text.lower().split()
    return 0 < len(words) <= _MAX_LABEL_WORDS and len(text) <= _MAX_LABEL_CHARS and _NOT_IN_LABELS.isdisjoint(words)


def _extract_subject(before: str, after: str) -> str:
    """Return the text to classify: what follows a colon or a line break, otherwise all but the list."""
    following = after.lstrip(" \t")
    rest = _strip_heading(following)
    return rest if rest and following.startswith((":", "\n")) else _strip_heading(f"{before}\n{after}")


def _strip_heading(text: str) -> str:
    return " ".join(_HEADING.sub("", text).strip(" .:;?!\n\t\"'").split())


def _build_examples(labels: tuple[str, ...], subject: str, field: str | None = None) -> Classification:
    # Twice, the second time backwards: the model leans towards the label it saw last.
    rounds = ((0, labels), (1, labels[::-1]))
    examples = "".join(
        f"Text: {_get_example(label, turn)}\nCategory: {label}\n\n" for turn, order in rounds for label in order
    )
    choices = " | ".join(json.dumps(f" {label}", ensure_ascii=False) for label in labels)
    return Classification(
        labels=labels,
        prompt=f"{examples}Text: {_strip_heading(subject)}\nCategory:",
        grammar=f"root ::= {choices}",
        field=field,
    )


def _get_example(label: str, turn: int) -> str:
    return _EXAMPLES.get(label.lower(), (f"This is about {label}.", f"It is {label}."))[turn]
